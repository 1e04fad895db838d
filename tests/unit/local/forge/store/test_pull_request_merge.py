"""Merging, through the real PyGithub, and what stands in the repository afterwards."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from github import GithubException
from github.PullRequest import PullRequest
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone


def two_commits(repo: Repository, clone: "Clone") -> PullRequest:
    """A pull request of two commits, on a main that has moved since."""
    clone.branch("topic", "First", first__txt="1")
    clone.commit("Second\n\nIn two parts", second__txt="2")
    clone.git("push", "--quiet", "origin", "topic")
    clone.branch("aside", "Meanwhile", other__txt="3")
    clone.git("push", "--quiet", "origin", "aside:main")
    return repo.create_pull(base="main", head="topic", title="The change", body="Why")


def history(clone: "Clone") -> list[str]:
    """Subjects on main along the first parents, newest first."""
    clone.git("fetch", "--quiet", "origin")
    return clone.git("log", "--first-parent", "--format=%s|%an", "origin/main").splitlines()


def test_merge(repo: Repository, clone: "Clone") -> None:
    pull = two_commits(repo, clone)
    assert (pull.mergeable, pull.mergeable_state) == (True, "clean")
    before = pull.base.sha
    done = pull.merge(sha=pull.head.sha)
    assert (done.merged, done.message) == (True, "Pull Request successfully merged")
    assert history(clone)[:2] == ["Merge pull request #1 from codecourier/topic|codecourier", "Meanwhile|Ada"]
    assert repo.get_commit(done.sha).commit.message.endswith("\n\nThe change")
    assert [parent.sha for parent in repo.get_commit(done.sha).parents] == [before, pull.head.sha]
    pull.update()
    assert (pull.state, pull.merged, pull.merge_commit_sha) == ("closed", True, done.sha)
    assert pull.merged_by.login == "codecourier"
    assert pull.is_merged()
    assert (pull.commits, pull.changed_files) == (2, 2), "the change stays readable"


def test_squash(repo: Repository, clone: "Clone") -> None:
    pull = two_commits(repo, clone)
    done = pull.merge(merge_method="squash")
    assert history(clone)[:2] == ["The change (#1)|codecourier", "Meanwhile|Ada"]
    assert repo.get_commit(done.sha).commit.message.endswith("* First\n\n* Second\n\nIn two parts")
    assert len(repo.get_commit(done.sha).parents) == 1
    assert clone.git("show", f"{done.sha}:second.txt") == "2"
    assert pull.is_merged()


def test_rebase(repo: Repository, clone: "Clone") -> None:
    pull = two_commits(repo, clone)
    done = pull.merge(merge_method="rebase")
    assert history(clone)[:3] == ["Second|Ada", "First|Ada", "Meanwhile|Ada"]
    last = repo.get_commit(done.sha)
    assert last.commit.message == "Second\n\nIn two parts"
    assert (last.commit.committer.name, [file.filename for file in last.files]) == (
        "codecourier",
        ["second.txt"],
    )
    assert pull.is_merged()


def test_words_of_the_caller(repo: Repository, clone: "Clone") -> None:
    done = two_commits(repo, clone).merge("Body", "Title", "squash")
    assert repo.get_commit(done.sha).commit.message == "Title\n\nBody"


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_conflict_cannot_be_merged(repo: Repository, clone: "Clone", method: str) -> None:
    clone.branch("topic", same__txt="mine")
    clone.branch("aside", same__txt="theirs")
    pull = repo.create_pull(base="main", head="topic", title="Conflict")
    assert (pull.mergeable, pull.mergeable_state) == (True, "clean")
    clone.git("push", "--quiet", "origin", "aside:main")
    pull.update()
    assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")
    with pytest.raises(GithubException) as raised:
        pull.merge(merge_method=method)
    assert (raised.value.status, raised.value.data["message"]) == (405, "Pull Request is not mergeable")
    assert not pull.is_merged()


def test_a_head_that_moved_is_a_conflict_of_the_request(repo: Repository, clone: "Clone") -> None:
    clone.branch("topic")
    pull = repo.create_pull(base="main", head="topic", title="Moves")
    seen = pull.head.sha
    clone.commit("More", more__txt="more")
    clone.git("push", "--quiet", "origin", "topic")
    with pytest.raises(GithubException) as raised:
        pull.merge(sha=seen)
    assert raised.value.status == 409
    assert "Head branch was modified" in raised.value.data["message"]


def test_merged_closed_and_draft_are_not_merged(repo: Repository, clone: "Clone") -> None:
    pull = two_commits(repo, clone)
    pull.merge()
    clone.branch("closed", closed__txt="1")
    closed = repo.create_pull(base="main", head="closed", title="Closed")
    closed.edit(state="closed")
    clone.branch("draft", draft__txt="1")
    draft = repo.create_pull(base="main", head="draft", title="Draft", draft=True)
    for refused in (pull, closed, draft):
        with pytest.raises(GithubException) as raised:
            refused.merge()
        assert raised.value.status == 405
    with pytest.raises(GithubException) as reopened:
        pull.edit(state="open")
    assert reopened.value.status == 422


def test_a_merge_pushed_by_git_counts(repo: Repository, clone: "Clone") -> None:
    clone.branch("topic")
    pull = repo.create_pull(base="main", head="topic", title="By hand")
    clone.git("push", "--quiet", "origin", "topic:main")
    pull.update()
    assert (pull.merged, pull.state, pull.changed_files) == (True, "closed", 1)


def test_of_several_merges_at_once_one_happens(repo: Repository, clone: "Clone") -> None:
    pull = two_commits(repo, clone)

    def merge(method: str) -> str | int:
        try:
            return pull.merge(merge_method=method).sha
        except GithubException as error:
            return error.status

    with ThreadPoolExecutor(6) as pool:
        (sha,) = set(pool.map(merge, ["squash", "rebase"] * 3)) - {405}
    assert repo.get_branch("main").commit.sha == sha
    pull.update()
    assert (pull.merged, pull.merge_commit_sha) == (True, sha)


def test_three_pull_requests_on_one_base_are_merged_at_once(repo: Repository, clone: "Clone") -> None:
    for name in ("one", "two", "three"):
        clone.branch(name, f"Add {name}", **{f"{name}__txt": name})
        repo.create_pull(base="main", head=name, title=name)
    with ThreadPoolExecutor(3) as pool:
        assert all(
            pool.map(lambda number: repo.get_pull(number).merge(merge_method="squash").merged, (1, 2, 3))
        )
    subjects = sorted(line.partition("|")[0] for line in history(clone)[:3])
    assert subjects == ["Add one (#1)", "Add three (#3)", "Add two (#2)"]
