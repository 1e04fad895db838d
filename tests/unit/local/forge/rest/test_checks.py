"""Statuses, check runs and comments, through the real PyGithub."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from github import GithubException
from github.PullRequest import PullRequest
from github.Repository import Repository

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone


@pytest.fixture
def pull(repo: Repository, clone: "Clone") -> PullRequest:
    clone.branch("topic")
    return repo.create_pull(base="main", head="topic", title="To be checked")


def test_statuses(repo: Repository, pull: PullRequest) -> None:
    commit = repo.get_commit(pull.head.sha)
    assert (commit.get_combined_status().state, commit.get_combined_status().total_count) == ("pending", 0)
    commit.create_status("pending", "https://ci.example.com/1", "Running", "ci/test")
    commit.create_status("success", context="ci/lint")
    pull.update()
    assert pull.mergeable_state == "unstable"
    commit.create_status("success", description="Passed", context="ci/test")
    combined = repo.get_commit("topic").get_combined_status()
    assert (combined.state, combined.sha) == ("success", pull.head.sha)
    assert {status.context: status.state for status in combined.statuses} == {
        "ci/test": "success",
        "ci/lint": "success",
    }
    assert commit.get_statuses().totalCount == 3
    pull.update()
    assert pull.mergeable_state == "clean"
    commit.create_status("error", context="ci/deploy")
    assert commit.get_combined_status().state == "failure"


def test_check_runs(repo: Repository, pull: PullRequest) -> None:
    commit = repo.get_commit(pull.head.sha)
    assert commit.get_check_runs().totalCount == 0
    assert commit.get_check_suites().totalCount == 0
    started = datetime(2026, 11, 22, 10, tzinfo=UTC)
    run = repo.create_check_run(
        "test", commit.sha, details_url="https://ci.example.com/7", status="in_progress", started_at=started
    )
    assert (run.status, run.raw_data["conclusion"], run.started_at) == ("in_progress", None, started)
    repo.create_check_run("lint", commit.sha, conclusion="success")
    (suite,) = commit.get_check_suites()
    assert (suite.status, suite.raw_data["conclusion"]) == ("in_progress", None)
    assert suite.head_sha == commit.sha
    run.edit(conclusion="failure", output={"title": "2 failed", "summary": "See below", "text": "…"})
    assert (run.status, run.conclusion, run.output.title) == ("completed", "failure", "2 failed")
    assert run.completed_at is not None
    (suite,) = commit.get_check_suites()
    assert (suite.status, suite.conclusion) == ("completed", "failure")
    pull.update()
    assert pull.mergeable_state == "unstable"
    repo.create_check_run("test", commit.sha, status="completed", conclusion="success")
    states = {run.name: run.conclusion for run in commit.get_check_runs()}
    assert states == {"test": "success", "lint": "success"}
    assert commit.get_check_runs(filter="all").totalCount == 3
    assert [run.name for run in commit.get_check_runs(check_name="lint")] == ["lint"]
    assert repo.get_check_run(run.id).conclusion == "failure"
    pull.update()
    assert pull.mergeable_state == "clean"


def test_reports_that_make_no_sense(repo: Repository, pull: PullRequest) -> None:
    sha = pull.head.sha
    for refused in (
        lambda: repo.create_check_run("test", sha, status="completed"),
        lambda: repo.create_check_run("test", sha, status="finished"),
        lambda: repo.create_check_run("test", "0" * 40),
        lambda: repo.get_commit(sha).create_status("fine"),
    ):
        with pytest.raises(GithubException) as raised:
            refused()
        assert raised.value.status == 422
    with pytest.raises(GithubException) as missing:
        repo.get_commit("no-such-branch").get_combined_status()
    assert missing.value.data["message"] == "No commit found for SHA: no-such-branch"


def test_comments(repo: Repository, pull: PullRequest) -> None:
    first = pull.create_issue_comment("First <b>words</b>")
    second = pull.as_issue().create_comment("Second")
    assert first.html_url == f"{pull.html_url}#issuecomment-{first.id}"
    second.edit("Changed")
    assert [comment.body for comment in pull.get_issue_comments()] == ["First <b>words</b>", "Changed"]
    pull.update()
    assert pull.comments == 2
    first.delete()
    assert repo.get_issue(pull.number).comments == 1
    with pytest.raises(GithubException) as raised:
        repo.get_issue(99)
    assert raised.value.status == 404
