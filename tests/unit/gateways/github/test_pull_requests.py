"""Merging a pull request: at the commit that was looked at, and every refusal by its name."""

from collections.abc import Callable

import pytest

from gateways.errors import CredentialRefused, UpstreamRefused
from gateways.github.client import GitHub
from gateways.github.pull_requests import MergeAttempt, MergeConflict, MergeRefused, PullRequests
from kit.database import Database
from tests.support.canned_server import CannedResponse, run_canned_server
from tests.support.servers import ServedDirectory
from tests.unit.gateways.github.test_client import Repo, github, repo

__all__ = ["github", "repo"]

NOT_MERGEABLE = "Pull Request is not mergeable"
REVIEW = "At least 1 approving review is required by reviewers with write access."
CHECK = 'Required status check "build" is expected.'
MOVED = "Base branch was modified. Review and try the merge again."


async def test_only_the_head_that_was_looked_at_is_merged(github: GitHub, repo: Repo) -> None:
    old = repo.push("work")
    number = repo.api.create_pull("main", "work", title="t", body="").number
    pulls = PullRequests(github, repo.slug)
    assert (await pulls.get(number)).head_sha == old
    (repo.clone / "b.txt").write_text("b\n")
    repo.git("add", "--all")
    repo.git("commit", "-q", "-m", "more")
    repo.git("push", "-q", repo.url, "work")
    new = repo.git("rev-parse", "HEAD")
    moved = await pulls.merge(number, sha=old, strategy="squash", gated=False)
    assert moved.outcome == "moved"
    repo.api.create_check_run("test", new, status="in_progress")
    assert (await pulls.merge(number, sha=new, strategy="squash", gated=True)).outcome == "blocked"
    merged = await pulls.merge(number, sha=new, strategy="squash", gated=False)
    assert merged == MergeAttempt("merged", repo.api.get_branch("main").commit.sha)
    now = await pulls.get(number)
    assert (now.state, now.merge_sha) == ("merged", merged.merge_sha)
    again = await pulls.merge(number, sha=new, strategy="squash", gated=False)
    assert again.outcome == "moved", "whoever looks again finds it merged"
    assert not await pulls.delete_branch("work", old)
    for _ in range(2):
        assert await pulls.delete_branch("work", new), "gone, now or before"


async def test_what_stands_in_the_way_is_named(github: GitHub, repo: Repo) -> None:
    sha = repo.push("work")
    number = repo.api.create_pull("main", "work", title="t", body="").number
    repo.git("checkout", "-q", "-B", "main", "origin/main")
    (repo.clone / "a.txt").write_text("other\n")
    repo.git("add", "--all")
    repo.git("commit", "-q", "-m", "other")
    repo.git("push", "-q", repo.url, "main")
    pulls = PullRequests(github, repo.slug)
    with pytest.raises(MergeConflict, match="conflicts with main"):
        await pulls.merge(number, sha=sha, strategy="merge", gated=False)
    repo.api.get_pull(number).edit(state="closed")
    assert (await pulls.get(number)).state == "closed"
    with pytest.raises(MergeRefused, match="not mergeable"):
        await pulls.merge(number, sha=sha, strategy="merge", gated=False)
    with pytest.raises(UpstreamRefused, match="not found"):
        await pulls.get(999)


@pytest.fixture
def pulls_at(database: Database) -> Callable[[str], PullRequests]:
    def at(url: str) -> PullRequests:
        return PullRequests(GitHub("t", api_url=url, database=database, spacing_seconds=0), "o/r")

    return at


PULL = CannedResponse(
    200, {"number": 1, "merged": False, "mergeable_state": "blocked", "base": {"ref": "main"}}
)
NO_CHECKS = [
    CannedResponse(200, {"total_count": 0, "check_runs": []}),
    CannedResponse(200, {"total_count": 0, "statuses": [], "state": "pending"}),
]


@pytest.mark.parametrize(
    ("status", "said", "gated", "outcome"),
    [
        (409, "Head branch was modified. Review and try the merge again.", True, "moved"),
        (405, MOVED, True, "moved"),
        (405, CHECK, True, "blocked"),
        (405, CHECK, False, MergeRefused),
        (405, REVIEW, True, MergeRefused),
        (405, "Squash merges are not allowed on this repository.", True, MergeRefused),
        (403, "Resource not accessible by personal access token", True, CredentialRefused),
        (422, "Validation Failed", True, UpstreamRefused),
    ],
)
async def test_githubs_refusals(
    pulls_at: Callable[[str], PullRequests], status: int, said: str, gated: bool, outcome: str | type
) -> None:
    """Answers that GitHub documents; the embedded forge gives some of them too."""
    before = NO_CHECKS if gated else []
    with run_canned_server(*before, CannedResponse(status, {"message": said}), PULL) as server:
        merging = pulls_at(server.url).merge(1, sha="a" * 40, strategy="squash", gated=gated)
        if isinstance(outcome, str):
            assert (await merging).outcome == outcome
        else:
            with pytest.raises(outcome) as refused:
                await merging
            assert type(refused.value) is outcome
            assert outcome is CredentialRefused or said.rstrip(".") in str(refused.value)


async def test_what_github_still_computes_is_looked_at_again(
    pulls_at: Callable[[str], PullRequests],
) -> None:
    """Right after a push it refuses whatever it is asked: that says nothing of the pull request."""
    pull = {"number": 1, "state": "open", "merged": False, "mergeable_state": "unknown"}
    with run_canned_server(
        CannedResponse(405, {"message": NOT_MERGEABLE}), CannedResponse(200, pull)
    ) as server:
        attempt = await pulls_at(server.url).merge(1, sha="a" * 40, strategy="squash", gated=False)
    assert attempt.outcome == "moved"


async def test_a_comment_is_looked_for_again_when_it_is_its_turn(
    pulls_at: Callable[[str], PullRequests],
) -> None:
    """Another attempt makes it between the first look and the write."""
    theirs = CannedResponse(200, [{"id": 1, "body": "Held.\n\n<!-- m -->"}])
    with run_canned_server(CannedResponse(200, []), theirs) as server:
        await pulls_at(server.url).comment_once(1, "Held.", "<!-- m -->")
    assert [line.split()[0] for line in server.asked] == ["GET", "GET"]


async def test_a_pull_request_that_does_not_exist_is_none(github: GitHub, repo: Repo) -> None:
    assert await PullRequests(github, repo.slug).describe(999) is None


async def test_a_repository_elsewhere(forge: ServedDirectory, github: GitHub) -> None:
    with pytest.raises(UpstreamRefused, match="not found"):
        await PullRequests(github, "nobody/nothing").get(1)
