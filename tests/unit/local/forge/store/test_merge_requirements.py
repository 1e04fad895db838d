"""What a protected base asks of a pull request: checks, reviews, a straight history."""

from typing import TYPE_CHECKING

import pytest
from github import Github, GithubException
from github.PullRequest import PullRequest
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone


@pytest.fixture
def pull(repo: Repository, clone: "Clone") -> PullRequest:
    clone.branch("topic")
    return repo.create_pull(base="main", head="topic", title="To be merged")


def refused(pull: PullRequest, method: str = "squash") -> str:
    """GitHub's words for why it is not merged."""
    with pytest.raises(GithubException) as raised:
        pull.merge(merge_method=method)
    assert raised.value.status == 405
    message: str = raised.value.data["message"]
    return message


def state(pull: PullRequest) -> tuple[bool | None, str]:
    pull.update()
    return pull.mergeable, pull.mergeable_state


def test_required_checks_must_have_succeeded_on_the_head(repo: Repository, pull: PullRequest) -> None:
    repo.get_branch("main").edit_protection(strict=False, contexts=["test", "lint"])
    sha = pull.head.sha
    commit = repo.get_commit(sha)
    assert state(pull) == (True, "blocked")
    assert refused(pull) == "2 of 2 required status checks are expected."
    commit.create_status("success", context="lint")
    assert refused(pull) == 'Required status check "test" is expected.'
    run = repo.create_check_run("test", sha, status="in_progress")
    assert refused(pull) == 'Required status check "test" is in progress.'
    run.edit(conclusion="failure")
    assert refused(pull) == 'Required status check "test" is failing.'
    commit.create_status("pending", context="lint")
    assert refused(pull) == "2 of 2 required status checks have not succeeded: 1 failing, 1 pending."
    commit.create_status("success", context="lint")
    repo.create_check_run("test", sha, conclusion="neutral")
    assert state(pull) == (True, "clean")
    commit.create_status("failure", context="not-required")
    assert state(pull) == (True, "unstable")
    assert pull.merge(sha=sha, merge_method="squash").merged


def test_a_push_voids_what_was_said_of_the_old_head(
    repo: Repository, pull: PullRequest, clone: "Clone"
) -> None:
    repo.get_branch("main").edit_protection(strict=False, contexts=["test"])
    repo.create_check_run("test", pull.head.sha, conclusion="success")
    assert state(pull) == (True, "clean")
    clone.commit("More", more__txt="1")
    clone.git("push", "--quiet", "origin", "topic")
    assert state(pull) == (True, "blocked")
    assert refused(pull) == 'Required status check "test" is expected.'


def test_a_check_of_another_app_is_not_the_one_required(repo: Repository, pull: PullRequest) -> None:
    repo.create_check_run("test", pull.head.sha, conclusion="success")
    repo.get_branch("main").edit_protection(strict=False, checks=[("test", 4711)])
    assert refused(pull) == 'Required status check "test" is expected.'
    repo.get_branch("main").edit_protection(strict=False, checks=[("test", 1)])
    assert state(pull) == (True, "clean")


def test_a_strict_base_asks_for_a_head_that_contains_it(
    repo: Repository, pull: PullRequest, clone: "Clone"
) -> None:
    repo.get_branch("main").edit_protection(strict=True, contexts=["test"])
    repo.create_check_run("test", pull.head.sha, conclusion="success")
    assert state(pull) == (True, "clean")
    clone.branch("aside", other__txt="1")
    clone.git("push", "--quiet", "origin", "aside:main")
    assert state(pull) == (True, "behind")
    assert refused(pull) == 'Required status check "test" is expected.'
    clone.git("checkout", "--quiet", "topic")
    clone.git("merge", "--quiet", "--no-edit", "origin/main")
    clone.git("push", "--quiet", "origin", "topic")
    assert state(pull) == (True, "blocked")
    repo.create_check_run("test", pull.head.sha, conclusion="success")
    assert pull.merge().merged


def test_approvals_by_somebody_else(
    repo: Repository, pull: PullRequest, reviewer: Github, clone: "Clone"
) -> None:
    repo.get_branch("main").edit_protection(required_approving_review_count=1, dismiss_stale_reviews=True)
    needed = "At least 1 approving review is required by reviewers with write access."
    assert (refused(pull), state(pull)) == (needed, (True, "blocked"))
    with pytest.raises(GithubException) as raised:
        pull.create_review(event="APPROVE")
    assert raised.value.status == 422
    assert raised.value.data["errors"] == ["Can not approve your own pull request"]
    theirs = reviewer.get_repo(repo.full_name).get_pull(pull.number)
    assert theirs.create_review(body="Hm", event="COMMENT").state == "COMMENTED"
    assert refused(pull) == needed
    assert theirs.create_review(body="No", event="REQUEST_CHANGES").state == "CHANGES_REQUESTED"
    assert refused(pull) == "Changes have been requested."
    given = theirs.create_review(event="APPROVE")
    assert (given.state, given.user.login, given.commit_id) == ("APPROVED", "reviewer", pull.head.sha)
    assert [review.state for review in pull.get_reviews()] == ["COMMENTED", "CHANGES_REQUESTED", "APPROVED"]
    assert state(pull) == (True, "clean")
    clone.commit("More", more__txt="1")
    clone.git("push", "--quiet", "origin", "topic")
    assert refused(pull) == needed, "an approval of another head"
    theirs.create_review(event="APPROVE")
    done = pull.merge()
    assert repo.get_commit(done.sha).author.login == "codecourier"


def test_a_review_without_words_or_of_no_commit(
    pull: PullRequest, reviewer: Github, repo: Repository
) -> None:
    theirs = reviewer.get_repo(repo.full_name).get_pull(pull.number)
    for faulty in ({"event": "COMMENT"}, {"event": "APPLAUD", "body": "x"}, {}):
        with pytest.raises(GithubException) as raised:
            theirs.requester.requestJsonAndCheck("POST", f"{theirs.url}/reviews", input=faulty)
        assert raised.value.status == 422
    with pytest.raises(GithubException) as raised:
        theirs.requester.requestJsonAndCheck(
            "POST", f"{theirs.url}/reviews", input={"event": "APPROVE", "commit_id": "0" * 40}
        )
    assert raised.value.data["errors"][0]["field"] == "commit_id"
    assert pull.get_reviews().totalCount == 0


def test_a_straight_history_and_a_locked_branch(repo: Repository, pull: PullRequest) -> None:
    main = repo.get_branch("main")
    main.edit_protection(lock_branch=True)
    assert refused(pull) == "Cannot change this locked branch"
    main.edit_protection(required_linear_history=True)
    assert refused(pull, "merge") == "This branch must not contain merge commits."
    assert pull.merge(merge_method="rebase").merged


def test_conflicts_come_before_rules(repo: Repository, pull: PullRequest, clone: "Clone") -> None:
    clone.branch("aside", change__txt="theirs")
    clone.git("push", "--quiet", "origin", "aside:main")
    repo.get_branch("main").edit_protection(strict=False, contexts=["test"])
    assert state(pull) == (False, "dirty")
    assert refused(pull) == "Pull Request is not mergeable"
