"""The life of pull requests, through the real PyGithub."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from github import GithubException, UnknownObjectException
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone


def refusal(raised: pytest.ExceptionInfo[GithubException]) -> tuple[int, str]:
    """Status and the message of the first of `errors[]`."""
    (error,) = raised.value.data["errors"]
    return raised.value.status, error.get("message") or f"{error['field']} {error['code']}"


def test_create_and_read(repo: Repository, clone: "Clone") -> None:
    sha = clone.branch("codecourier/1-add", "Add a file", hello__txt="hello\nworld\n")
    pull = repo.create_pull(base="main", head="codecourier/1-add", title="Add", body="Why\n\n- run: 7")
    assert (pull.number, pull.state, pull.draft, pull.merged) == (1, "open", False, False)
    assert (pull.title, pull.body, pull.user.login) == ("Add", "Why\n\n- run: 7", "codecourier")
    assert (pull.head.ref, pull.head.sha, pull.head.label) == (
        "codecourier/1-add",
        sha,
        "codecourier:codecourier/1-add",
    )
    assert (pull.base.ref, pull.base.sha) == ("main", repo.get_branch("main").commit.sha)
    assert (pull.commits, pull.additions, pull.deletions, pull.changed_files) == (1, 2, 0, 1)
    assert pull.html_url == f"{repo.html_url}/pull/1"
    assert [commit.commit.message for commit in pull.get_commits()] == ["Add a file"]
    (file,) = pull.get_files()
    assert (file.filename, file.status, file.patch) == (
        "hello.txt",
        "added",
        "@@ -0,0 +1,2 @@\n+hello\n+world",
    )
    assert repo.get_pull(1).raw_data == pull.raw_data


def test_a_second_one_for_the_same_branches_is_refused(repo: Repository, clone: "Clone") -> None:
    clone.branch("topic")
    repo.create_pull(base="main", head="topic", title="First")
    with pytest.raises(GithubException) as raised:
        repo.create_pull(base="main", head="codecourier:topic", title="Second")
    assert refusal(raised) == (422, "A pull request already exists for codecourier:topic.")
    repo.get_pull(1).edit(state="closed")
    assert repo.create_pull(base="main", head="topic", title="Third").number == 2


def test_branches_that_make_no_pull_request(repo: Repository, clone: "Clone") -> None:
    clone.git("push", "--quiet", "origin", "origin/main:refs/heads/same")
    with pytest.raises(GithubException) as raised:
        repo.create_pull(base="main", head="same", title="Nothing")
    assert refusal(raised) == (422, "No commits between main and same")
    for base, head, words in (
        ("main", "nowhere", "head invalid"),
        ("nowhere", "same", "base invalid"),
        ("main", "somebody:same", "head invalid"),
        ("main", "same~1", "head invalid"),
    ):
        with pytest.raises(GithubException) as raised:
            repo.create_pull(base=base, head=head, title="Nothing")
        assert refusal(raised) == (422, words)
    clone.git("checkout", "--quiet", "--orphan", "stranger")
    clone.commit("Another beginning")
    clone.git("push", "--quiet", "origin", "stranger")
    with pytest.raises(GithubException) as raised:
        repo.create_pull(base="main", head="stranger", title="Nothing")
    assert "no history in common" in refusal(raised)[1]


def test_lists_are_filtered_sorted_and_paged(repo: Repository, clone: "Clone") -> None:
    for number in range(1, 6):
        clone.branch(f"topic-{number}")
        repo.create_pull(base="main", head=f"topic-{number}", title=f"Number {number}")
    repo.get_pull(2).edit(state="closed")
    assert [pull.number for pull in repo.get_pulls()] == [5, 4, 3, 1]
    assert [pull.number for pull in repo.get_pulls(state="closed")] == [2]
    assert [pull.number for pull in repo.get_pulls(state="all", direction="asc")] == [1, 2, 3, 4, 5]
    assert [pull.number for pull in repo.get_pulls(head="codecourier:topic-3")] == [3]
    assert [pull.number for pull in repo.get_pulls(head="somebody:topic-3")] == []
    assert repo.get_pulls(head="topic-3").totalCount == 4, "GitHub ignores a head without an owner"
    assert repo.get_pulls(base="other").totalCount == 0
    paged = repo.requester.requestJsonAndCheck(
        "GET", f"{repo.url}/pulls", parameters={"per_page": 2, "page": 2}
    )
    headers, pulls = paged
    assert [pull["number"] for pull in pulls] == [3, 1]
    assert 'rel="prev"' in headers["link"]
    assert 'rel="next"' not in headers["link"]
    assert repo.get_pulls(state="all").totalCount == 5


def test_the_head_follows_pushes_and_a_deleted_branch_closes(repo: Repository, clone: "Clone") -> None:
    clone.branch("topic")
    pull = repo.create_pull(base="main", head="topic", title="Moves")
    second = clone.commit("More", more__txt="more")
    clone.git("push", "--quiet", "origin", "topic")
    pull.update()
    assert (pull.head.sha, pull.commits) == (second, 2)
    assert repo.get_git_ref(f"pull/{pull.number}/head").object.sha == second
    clone.git("push", "--quiet", "origin", ":topic")
    pull.update()
    assert (pull.state, pull.merged, pull.head.sha, pull.commits) == ("closed", False, second, 2)


def test_edit(repo: Repository, clone: "Clone") -> None:
    clone.branch("topic")
    pull = repo.create_pull(base="main", head="topic", title="Before", draft=True)
    assert (pull.draft, pull.mergeable_state) == (True, "draft")
    pull.edit(title="After", body="Words", state="closed")
    assert (pull.title, pull.body, pull.state) == ("After", "Words", "closed")
    assert pull.closed_at is not None
    pull.edit(state="open")
    assert pull.state == "open"
    assert pull.raw_data["closed_at"] is None
    with pytest.raises(GithubException) as raised:
        pull.edit(base="nowhere")
    assert refusal(raised) == (422, "base invalid")


def test_an_unknown_number(repo: Repository) -> None:
    with pytest.raises(UnknownObjectException):
        repo.get_pull(99)


def test_numbers_are_given_once_under_concurrency(repo: Repository, clone: "Clone") -> None:
    sha = clone.commit("Shared", shared__txt="shared")
    clone.git("push", "--quiet", "origin", *(f"{sha}:refs/heads/topic-{index}" for index in range(20)))

    def create(index: int) -> int:
        return repo.create_pull(base="main", head=f"topic-{index}", title=f"Number {index}").number

    with ThreadPoolExecutor(10) as pool:
        numbers = list(pool.map(create, range(20)))
    assert sorted(numbers) == list(range(1, 21))


def test_one_of_two_creations_at_once_wins(repo: Repository, clone: "Clone") -> None:
    clone.branch("topic")

    def create(title: str) -> int:
        try:
            repo.create_pull(base="main", head="topic", title=title)
        except GithubException as error:
            return error.status
        return 201

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, "abcdefgh")) == [201] + [422] * 7
    assert repo.get_pulls(state="all").totalCount == 1


def test_fifty_runs_at_once(repo: Repository, clone: "Clone") -> None:
    """Each pushes a branch and a checkpoint and opens its pull request; each sees its own head at once."""
    shas = {}
    for index in range(50):
        clone.git("checkout", "--quiet", "-B", f"run-{index}", "origin/main")
        shas[index] = clone.commit(f"Run {index}", result__txt=str(index))

    def run(index: int) -> tuple[int, int]:
        clone.git("push", "--quiet", "origin", f"run-{index}", f"run-{index}:refs/codecourier/runs/{index}")
        pull = repo.create_pull(base="main", head=f"run-{index}", title=f"Run {index}")
        assert pull.head.sha == shas[index]
        return index, pull.number

    with ThreadPoolExecutor(50) as pool:
        numbers = dict(pool.map(run, range(50)))
    assert sorted(numbers.values()) == list(range(1, 51))
    assert repo.get_pulls().totalCount == 50
    assert repo.get_git_matching_refs("codecourier/runs/").totalCount == 50
