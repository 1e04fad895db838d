"""What is told of a repository's life, in GitHub's payloads."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from github import Github
from github.Repository import Repository

from tests.support.forge_webhook_receiver import SECRET, Receiver

if TYPE_CHECKING:
    from tests.unit.local.forge.conftest import Clone

ZERO = "0" * 40
# What GitHub's payload schemas require.
PUSH = """ref before after created deleted forced base_ref compare commits head_commit repository pusher
    sender"""
COMMIT = "id tree_id distinct message timestamp url author committer added removed modified"
STATUS = """id sha name target_url context description state commit branches created_at updated_at
    repository sender"""
SUITE = """id node_id head_branch head_sha status conclusion url before after pull_requests app created_at
    updated_at latest_check_runs_count check_runs_url head_commit"""
RUN = """id node_id head_sha external_id url html_url details_url status conclusion started_at completed_at
    output name check_suite app pull_requests"""
PULL = """url id node_id number state locked title user body created_at updated_at closed_at merged_at
    merge_commit_sha head base _links author_association auto_merge draft merged mergeable mergeable_state
    merged_by comments review_comments commits additions deletions changed_files"""


@pytest.fixture
def receiver(repo: Repository) -> Iterator[Receiver]:
    """Told of everything that happens in `repo`."""
    with Receiver().listening() as listening:
        config = {"url": listening.url, "content_type": "json", "secret": SECRET}
        repo.create_hook("web", config, ["*"])
        listening.wait("ping")
        listening.sent.clear()
        yield listening


def lacks(payload: dict[str, Any], required: str) -> set[str]:
    return set(required.split()) - payload.keys()


def test_the_life_of_a_pull_request(
    repo: Repository, receiver: Receiver, clone: "Clone", reviewer: Github
) -> None:
    first = clone.branch("topic", "First", a__txt="1\n")
    pull = repo.create_pull(base="main", head="topic", title="Before", body="Words")
    second = clone.commit("Second", b__txt="2\n")
    clone.git("push", "--quiet", "origin", "topic")
    pull.edit(title="After")
    pull.edit(state="closed")
    pull.edit(state="open")
    done = reviewer.get_repo(repo.full_name).get_pull(pull.number).merge()
    receiver.wait("pull_request closed", 2)
    assert receiver.events() == [
        "push",
        "pull_request opened",
        "push",
        "pull_request synchronize",
        "pull_request edited",
        "pull_request closed",
        "pull_request reopened",
        "push",
        "pull_request closed",
    ]
    assert all(sent.is_signed for sent in receiver.sent)
    assert len({sent.guid for sent in receiver.sent}) == 9
    told = [sent.payload for sent in receiver.sent]
    assert all(each["repository"]["full_name"] == repo.full_name for each in told)
    assert [each["sender"]["login"] for each in told] == ["codecourier"] * 7 + ["reviewer"] * 2
    opened, moved, edited, closed, reopened, merged = [each for each in told if "pull_request" in each]
    assert lacks(opened["pull_request"], PULL) == set()
    assert (opened["number"], opened["pull_request"]["head"]["sha"]) == (1, first)
    assert opened["pull_request"]["url"] == pull.url
    assert (moved["before"], moved["after"]) == (first, second)
    assert (moved["pull_request"]["head"]["sha"], moved["pull_request"]["commits"]) == (second, 2)
    assert edited["changes"] == {"title": {"from": "Before"}}
    assert edited["pull_request"]["title"] == "After"
    assert (closed["pull_request"]["state"], closed["pull_request"]["merged"]) == ("closed", False)
    assert reopened["pull_request"]["state"] == "open"
    assert (merged["pull_request"]["merged"], merged["pull_request"]["merge_commit_sha"]) == (True, done.sha)
    assert merged["pull_request"]["merged_by"]["login"] == "reviewer"


def test_pushes_of_branches_and_tags(repo: Repository, receiver: Receiver, clone: "Clone") -> None:
    main = clone.git("rev-parse", "origin/main")
    first = clone.branch("topic", "First", a__txt="1\n", b__txt="1\n")
    (clone.path / "b.txt").unlink()
    second = clone.commit("Second", a__txt="2\n", c__txt="3\n")
    clone.git("push", "--quiet", "origin", "topic", "HEAD:refs/codecourier/runs/1")
    clone.git("tag", "v1")
    clone.git("push", "--quiet", "origin", "v1", ":topic")
    created, moved, gone, tagged = [sent.payload for sent in receiver.wait("push", 4)]
    assert all(lacks(each, PUSH) == set() for each in (created, moved, gone, tagged))
    assert (created["ref"], created["before"], created["after"], created["created"]) == (
        "refs/heads/topic",
        ZERO,
        first,
        True,
    )
    assert [commit["id"] for commit in created["commits"]] == [first]
    assert lacks(created["commits"][0], COMMIT) == set()
    assert created["commits"][0]["added"] == ["a.txt", "b.txt"]
    assert (created["head_commit"]["id"], created["pusher"]["name"]) == (first, "codecourier")
    assert isinstance(created["repository"]["pushed_at"], int)
    assert (moved["before"], moved["after"], moved["forced"]) == (first, second, False)
    (commit,) = moved["commits"]
    assert (commit["added"], commit["removed"], commit["modified"]) == (["c.txt"], ["b.txt"], ["a.txt"])
    assert moved["compare"] == f"{repo.html_url}/compare/{first[:12]}...{second[:12]}"
    assert (gone["ref"], gone["after"], gone["deleted"], gone["head_commit"]) == (
        "refs/heads/topic",
        ZERO,
        True,
        None,
    )
    assert (tagged["ref"], tagged["after"], tagged["commits"]) == ("refs/tags/v1", second, [])
    repo.create_git_ref("refs/heads/other", main)
    (rest,) = receiver.wait("push", 5)[4:]
    assert (rest.payload["ref"], rest.payload["commits"]) == ("refs/heads/other", [])


def test_checks_and_their_suite(repo: Repository, receiver: Receiver, clone: "Clone") -> None:
    sha = clone.branch("topic")
    pull = repo.create_pull(base="main", head="topic", title="To be checked")
    test = repo.create_check_run("test", sha, status="in_progress")
    repo.create_check_run("lint", sha, conclusion="success")
    test.edit(conclusion="failure")
    (suite,) = [sent.payload for sent in receiver.wait("check_suite completed")]
    told = [sent for sent in receiver.sent if sent.event.startswith("check_")]
    assert [(sent.event, (sent.payload.get("check_run") or {}).get("name")) for sent in told] == [
        ("check_run created", "test"),
        ("check_run created", "lint"),
        ("check_run completed", "lint"),
        ("check_run completed", "test"),
        ("check_suite completed", None),
    ]
    assert lacks(suite["check_suite"], SUITE) == set()
    seen = suite["check_suite"]
    assert (seen["head_sha"], seen["head_branch"], seen["status"], seen["conclusion"]) == (
        sha,
        "topic",
        "completed",
        "failure",
    )
    assert [each["number"] for each in seen["pull_requests"]] == [pull.number]
    done = told[3].payload["check_run"]
    assert lacks(done, RUN) == set()
    assert (done["head_sha"], done["status"], done["conclusion"]) == (sha, "completed", "failure")
    (its_pull,) = done["pull_requests"]
    assert (its_pull["number"], its_pull["head"]["sha"], its_pull["base"]["ref"]) == (1, sha, "main")
    assert lacks(done["check_suite"], "id head_branch head_sha status conclusion pull_requests") == set()
    assert told[0].payload["check_run"]["check_suite"]["status"] == "in_progress"
    assert repo.get_check_run(test.id).raw_data["pull_requests"] == done["pull_requests"]


def test_statuses(repo: Repository, receiver: Receiver, clone: "Clone") -> None:
    sha = clone.branch("topic")
    repo.get_branch("main")
    repo.get_commit(sha).create_status("pending", "https://ci.example.com/1", "Running", "ci/test")
    (sent,) = receiver.wait("status")
    told = sent.payload
    assert lacks(told, STATUS) == set()
    assert (told["sha"], told["state"], told["context"]) == (sha, "pending", "ci/test")
    assert (told["name"], told["target_url"]) == (repo.full_name, "https://ci.example.com/1")
    assert told["commit"]["sha"] == sha
    assert [branch["name"] for branch in told["branches"]] == ["topic"]
