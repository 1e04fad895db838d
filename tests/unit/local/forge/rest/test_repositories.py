"""Repositories, references, files and access, through the real PyGithub."""

import base64
from typing import TYPE_CHECKING

import httpx
import pytest
from github import BadCredentialsException, Github, GithubException, UnknownObjectException
from github.ContentFile import ContentFile
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone, ForgeProcess


def test_who_am_i(forge: "ForgeProcess", github: Github) -> None:
    assert github.get_user().login == "codecourier"
    stranger = forge.github("a-wrong-token-of-some-length")
    with pytest.raises(BadCredentialsException):
        stranger.get_user().login  # noqa: B018
    stranger.close()
    answer = httpx.get(f"{forge.api}/user")
    assert (answer.status_code, answer.json()["message"]) == (401, "Requires authentication")
    for scheme in ("token", "Bearer"):
        headers = {"Authorization": f"{scheme} {forge.token}"}
        assert httpx.get(f"{forge.api}/user", headers=headers).status_code == 200


def test_create_and_read(github: Github, repo: Repository) -> None:
    again = github.get_repo(repo.full_name.upper())
    assert (again.id, again.private, again.default_branch) == (repo.id, True, "main")
    assert again.clone_url == f"{repo.html_url}.git"
    assert again.permissions.push
    with pytest.raises(GithubException) as raised:
        github.get_user().create_repo(repo.name.upper())
    assert raised.value.status == 422
    assert raised.value.data["errors"][0]["message"] == "name already exists on this account"
    assert repo.name in {mine.name for mine in github.get_user().get_repos()}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a b", "x.git", "ä", "x" * 101, "a\x00"])
def test_names_that_no_repository_may_have(github: Github, name: str) -> None:
    with pytest.raises(GithubException) as raised:
        github.get_user().create_repo(name)
    assert raised.value.status == 422


def test_an_empty_repository(github: Github, repo: Repository, clone: "Clone") -> None:
    empty = github.get_user().create_repo(f"{repo.name}-empty")
    assert empty.get_branches().totalCount == 0
    with pytest.raises(UnknownObjectException):
        empty.get_branch("main")
    clone.git("push", "--quiet", empty.clone_url, "HEAD:refs/heads/trunk")
    assert github.get_repo(empty.full_name).default_branch == "trunk", "as on GitHub the first branch"


def test_private_does_not_exist_for_strangers(
    forge: "ForgeProcess", github: Github, repo: Repository
) -> None:
    public = github.get_user().create_repo(f"{repo.name}-public", private=False, auto_init=True)
    assert httpx.get(repo.url).status_code == 404
    seen = httpx.get(public.url)
    assert (seen.status_code, seen.json()["permissions"]["push"]) == (200, False)
    written = httpx.post(f"{public.url}/git/refs", json={"ref": "refs/heads/x", "sha": "0" * 40})
    assert written.status_code == 401


def test_branches_and_references(repo: Repository, clone: "Clone") -> None:
    sha = clone.branch("feature/one-x")
    main = repo.get_branch("main")
    assert repo.get_branch("feature/one-x").commit.sha == sha
    assert [branch.name for branch in repo.get_branches()] == ["feature/one-x", "main"]
    made = repo.create_git_ref("refs/heads/other", main.commit.sha)
    assert (made.ref, made.object.type) == ("refs/heads/other", "commit")
    made.edit(sha)
    assert repo.get_git_ref("heads/other").object.sha == sha
    with pytest.raises(GithubException, match="not a fast forward"):
        made.edit(main.commit.sha, force=True)
    made.delete()
    with pytest.raises(UnknownObjectException):
        repo.get_git_ref("heads/other").object  # noqa: B018
    assert [ref.ref for ref in repo.get_git_matching_refs("heads/feat")] == ["refs/heads/feature/one-x"]
    assert [ref.ref for ref in repo.get_git_refs()] == ["refs/heads/feature/one-x", "refs/heads/main"]


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("refs/heads/main", "Reference already exists"),
        ("refs/heads/main/below", "another reference is in the way"),
        ("heads/x", "must start with 'refs/'"),
        ("refs/heads/a..b", "not a valid ref name"),
        ("refs/heads/../../../x", "not a valid ref name"),
        ("refs/heads/a\x00b", "not a valid ref name"),
        ("refs/pull/9/head", "must start with 'refs/'"),
    ],
)
def test_references_that_cannot_be_made(repo: Repository, ref: str, words: str) -> None:
    with pytest.raises(GithubException, match=words) as raised:
        repo.create_git_ref(ref, repo.get_branch("main").commit.sha)
    assert raised.value.status == 422


def test_the_default_branch_stays(repo: Repository) -> None:
    with pytest.raises(GithubException) as raised:
        repo.get_git_ref("heads/main").delete()
    assert raised.value.status == 422
    with pytest.raises(GithubException, match="Object does not exist"):
        repo.create_git_ref("refs/heads/x", "0" * 40)


def test_commits(repo: Repository, clone: "Clone") -> None:
    sha = clone.branch("topic", "Subject\n\nBody ä", a__txt="1\n", b__txt="2\n")
    commit = repo.get_commit(sha)
    assert (commit.commit.message, commit.commit.author.name) == ("Subject\n\nBody ä", "Ada")
    assert (commit.stats.additions, [file.filename for file in commit.files]) == (2, ["a.txt", "b.txt"])
    assert [one.sha for one in repo.get_commits(sha="topic")] == [sha, repo.get_branch("main").commit.sha]
    for name in ("topic", sha[:8], "heads/topic"):
        assert repo.get_commit(name).sha == sha
    for name in ("topic~1", "HEAD^", "--all", "main:README.md", "a b"):
        with pytest.raises(GithubException, match="No commit found for SHA") as raised:
            repo.get_commit(name)
        assert raised.value.status == 422


def test_contents(repo: Repository, clone: "Clone") -> None:
    (clone.path / "src").mkdir()
    (clone.path / "src" / "a b.py").write_bytes(b"print('\xc3\xa4')\n")
    (clone.path / "link").symlink_to("src")
    clone.branch("topic", **{"*__txt": "star"})
    found = repo.get_contents("src/a b.py", ref="topic")
    assert isinstance(found, ContentFile)
    assert (found.type, found.decoded_content) == ("file", b"print('\xc3\xa4')\n")
    listed = repo.get_contents("", ref="topic")
    assert isinstance(listed, list)
    assert {entry.path: entry.type for entry in listed} == {
        "*.txt": "file",
        "README.md": "file",
        "link": "symlink",
        "src": "dir",
    }
    inside = repo.get_contents("src", ref="topic")
    assert isinstance(inside, list)
    assert [entry.path for entry in inside] == ["src/a b.py"]
    for path in ("nothing", "../config", "src/../../x", "src//x"):
        with pytest.raises(UnknownObjectException):
            repo.get_contents(path, ref="topic")


def test_git_objects(repo: Repository, clone: "Clone") -> None:
    (clone.path / "src").mkdir()
    (clone.path / "src" / "a.py").write_text("a = 1\n")
    sha = clone.branch("topic")
    commit = repo.get_git_commit(sha)
    assert (commit.message, commit.parents[0].sha) == ("A change", repo.get_branch("main").commit.sha)
    tree = repo.get_git_tree("topic", recursive=True)
    assert tree.sha == commit.tree.sha
    entries = {entry.path: entry for entry in tree.tree}
    assert sorted(entries) == ["README.md", "change.txt", "src", "src/a.py"]
    blob = repo.get_git_blob(entries["src/a.py"].sha)
    assert base64.b64decode(blob.content) == b"a = 1\n"
    for missing in (sha, "0" * 40, "topic", "--version"):
        with pytest.raises(UnknownObjectException):
            repo.get_git_blob(missing)


def test_compare(repo: Repository, clone: "Clone") -> None:
    sha = clone.branch("topic", "Mine", a__txt="1\n")
    clone.branch("aside", "Theirs", b__txt="2\n")
    clone.git("push", "--quiet", "origin", "aside:main")
    seen = repo.compare("main", "codecourier:topic")
    assert (seen.status, seen.ahead_by, seen.behind_by) == ("diverged", 1, 1)
    assert [commit.sha for commit in seen.commits] == [sha]
    assert [file.filename for file in seen.files] == ["a.txt"]
    assert repo.compare("main", "aside").status == "identical"
    with pytest.raises(GithubException):
        _ = repo.compare("main", "nowhere").status


def test_github_words_for_bad_requests(forge: "ForgeProcess", repo: Repository) -> None:
    owner = {"Authorization": f"token {forge.token}"}
    broken = httpx.post(f"{repo.url}/pulls", content=b"{", headers=owner)
    assert (broken.status_code, broken.json()["message"]) == (400, "Problems parsing JSON")
    missing = httpx.post(f"{repo.url}/pulls", json={"head": "x", "base": "main"}, headers=owner)
    assert missing.status_code == 422
    assert missing.json()["errors"][0]["code"] == "missing_field"
    unknown = httpx.get(f"{forge.api}/nothing/here", headers=owner)
    assert (unknown.status_code, unknown.json()["message"]) == (404, "Not Found")
    assert int(unknown.headers["x-ratelimit-remaining"]) > 0
    for number in ("abc", "0", "-1", "9" * 30):
        assert httpx.get(f"{repo.url}/pulls/{number}", headers=owner).status_code == 404
    half = httpx.post(
        f"{repo.url}/git/refs", content=b'{"ref": "refs/heads/\\ud800", "sha": ""}', headers=owner
    )
    assert half.status_code == 422
    huge = httpx.post(f"{repo.url}/pulls", content=b'{"title": "' + b"x" * 20_000_000, headers=owner)
    assert huge.status_code == 413
