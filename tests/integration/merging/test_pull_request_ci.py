"""A merge waits for CI: told of it or not, at the very commit that is merged, whoever dies meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from kit.schemas import format_timestamp
from models import provider_rate_limit
from models.base import now
from models.event import EventType
from models.merging.merge_job import MergeStatus
from models.notifications.notification import NotificationType
from models.runs.run import PrStatus, RunStatus
from tests.support.ci_polling import wait_for_slow_polling, was_woken_by_webhook
from tests.support.github import FILES_WITH_CI, ApiServer, ForgeRepository, serving_api
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.pull_requests import OpenPullRequest, make_key_headers, make_pull_request
from tests.support.scenarios import create, finish, register_scenario
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

MERGED_LIVE = register_scenario("merged-live", create("live.txt", "done\n"), finish("Wrote live.txt."))


@pytest.fixture(scope="module")
async def api(site: Installation) -> AsyncIterator[ApiServer]:
    async with serving_api(site) as api:
        yield api


async def is_merged(pull: OpenPullRequest, job_id: str, patience: float = TEST_TIMEOUT_SECONDS) -> None:
    """Everywhere, and told once."""
    job = await pull.reaches(job_id, MergeStatus.completed, patience)
    there = await pull.github.pull(pull.run.pr_number)
    assert there["merged"] is True
    assert (job["mergeSha"], job["waiting"], job["error"]) == (there["merge_commit_sha"], None, None)
    assert await pull.status() is PrStatus.merged
    [event] = await pull.events(EventType.pr_merged)
    assert (event.data["mergeJobId"], event.data["mergeSha"]) == (job_id, job["mergeSha"])
    assert [each.type for each in await pull.told()] == [NotificationType.pr_merged]
    events = await pull.site.events(pull.run)
    assert [each.seq for each in events] == list(range(1, len(events) + 1))


async def test_merged_by_a_webhook_before_it_would_look_by_itself(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api)
    check = await pull.github.begin_check(pull.sha)
    job_id = await pull.merge()
    blocked = await pull.blocked(job_id)
    assert blocked["waiting"] == {"code": "BLOCKED_ON_CI", "message": "CI is at work: test."}
    again = await api.http.post(f"/api/v1/pull-requests/{pull.run.id}/merge", headers=pull.headers)
    assert again.status_code == 409
    await wait_for_slow_polling(site, job_id)
    await pull.github.end_check(check)
    await api.tell_of_check(pull.github.slug, pull.sha)
    await is_merged(pull, job_id)
    assert await was_woken_by_webhook(site, job_id)
    [event] = await pull.events(EventType.pr_blocked_on_ci)
    assert event.data["sha"] == pull.sha
    assert (await pull.site.read(pull.run)).ci_checks is not None
    assert await pull.github.has_branch(pull.branch), "kept unless the blueprint says otherwise"


async def test_merged_by_what_the_repository_itself_tells(site: Installation, api: ApiServer) -> None:
    """Nobody but the forge speaks here: signed, in GitHub's words, from its queue of deliveries."""
    pull = await make_pull_request(site, api)
    await pull.github.add_hook(str(api.http.base_url.join("/github/webhook")))
    check = await pull.github.begin_check(pull.sha)
    job_id = await pull.merge()
    await pull.blocked(job_id)
    await wait_for_slow_polling(site, job_id)
    await pull.github.end_check(check)
    await is_merged(pull, job_id)
    assert await was_woken_by_webhook(site, job_id)


async def test_merged_by_looking_when_no_webhook_comes(site: Installation, api: ApiServer) -> None:
    """What failed may yet pass: nobody has to ask again."""
    pull = await make_pull_request(site, api)
    check = await pull.github.begin_check(pull.sha)
    await pull.github.end_check(check, "failure")
    job_id = await pull.merge(mergeStrategy="merge")
    assert (await pull.blocked(job_id))["waiting"]["message"] == "CI has failed: test."
    await pull.github.end_check(check, "success")
    await is_merged(pull, job_id)
    assert len(pull.github.git("log", "-1", "--format=%P", "main").split()) == 2


async def test_a_push_in_between_voids_the_old_verdict(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api)
    check = await pull.github.begin_check(pull.sha)
    job_id = await pull.merge()
    await pull.blocked(job_id)
    pushed = await pull.github.commit(pull.sha, {"more.txt": "more\n"}, "Add more.txt")
    later = await pull.github.begin_check(pushed)
    await pull.github.move(pull.branch, pushed)
    await pull.github.end_check(check)
    told = {"number": pull.run.pr_number}
    await api.tell("pull_request", pull.github.slug, action="synchronize", pull_request=told)
    await pull.blocked(job_id, pushed)
    await api.tell_of_check(pull.github.slug, pull.sha)
    await asyncio.sleep(1)
    assert (await pull.github.pull(pull.run.pr_number))["merged"] is False
    await pull.github.end_check(later)
    await api.tell_of_check(pull.github.slug, pushed)
    await is_merged(pull, job_id)
    assert (await pull.shown(job_id))["headSha"] == pushed


async def test_a_push_at_the_very_moment_is_not_merged_unchecked(parts: Servers, tmp_path: Path) -> None:
    """Between the look and the merge: GitHub refuses another head than the one that was checked."""
    async with open_installation(parts, "merge-push", tmp_path / "site") as site, serving_api(site) as api:
        site.set_trap("merge", "hold")
        await site.start_worker()
        pull = await make_pull_request(site, api)
        await pull.github.check(pull.sha, "success")
        job_id = await pull.merge()
        await site.sprung("merge")
        pushed = await pull.github.commit(pull.sha, {"more.txt": "more\n"}, "Add more.txt")
        later = await pull.github.begin_check(pushed)
        await pull.github.move(pull.branch, pushed)
        site.release("merge")
        await pull.blocked(job_id, pushed)
        await pull.github.end_check(later)
        await is_merged(pull, job_id)


@pytest.mark.soak
@pytest.mark.parametrize("seam", ["merge", "merged"])
async def test_killed_around_the_merge_it_is_merged_once(parts: Servers, tmp_path: Path, seam: str) -> None:
    async with (
        open_installation(parts, f"merge-killed-{seam}", tmp_path / "site") as site,
        serving_api(site) as api,
    ):
        site.set_trap(seam)
        await site.start_worker()
        pull = await make_pull_request(site, api)
        await pull.github.check(pull.sha, "success")
        job_id = await pull.merge()
        await site.sprung(seam)
        await site.start_worker()
        await is_merged(pull, job_id)
        assert pull.github.git("rev-list", "--count", "main") == "2"


@pytest.mark.soak
async def test_githubs_limit_is_a_wait_that_shows(parts: Servers, tmp_path: Path) -> None:
    async with open_installation(parts, "merge-limit", tmp_path / "site") as site, serving_api(site) as api:
        pull = await make_pull_request(site, api, ci=False)
        token = (site.settings.github_token or SecretStr("")).get_secret_value()
        await site.start_worker()
        await provider_rate_limit.back_off(
            site.database, provider_rate_limit.credential_key("github", token), 30, "GitHub asks for a rest."
        )
        job_id = await pull.merge()

        async def is_put_off() -> bool:
            return bool((await pull.shown(job_id))["waiting"])

        await wait_until(is_put_off, "the wait shows")
        waiting = (await pull.shown(job_id))["waiting"]
        assert (waiting["code"], "asks for a rest" in waiting["message"]) == ("PROVIDER_LIMIT", True)
        assert waiting["until"] > format_timestamp(now())
        await is_merged(pull, job_id)


async def test_asked_while_the_run_itself_follows_ci(site: Installation, api: ApiServer) -> None:
    """Both end with the same word of CI."""
    run = await site.start(f"Merged {MERGED_LIVE}", repository=await site.repository(FILES_WITH_CI))
    pushed = await site.until(run, EventType.branch_pushed)
    github = ForgeRepository(site, run.repository_slug)
    check = await github.begin_check(str(pushed.data["sha"]))
    await site.until(run, EventType.pr_created)
    pull = OpenPullRequest(
        site, api, github, await site.read(run), await make_key_headers(site, run.project_id)
    )
    job_id = await pull.merge()
    await pull.blocked(job_id)
    await github.end_check(check)
    await api.tell_of_check(run.repository_slug, pull.sha)
    await pull.reaches(job_id, MergeStatus.completed)
    ended = await site.ended(run)
    assert (ended.status, ended.pr_status) == (RunStatus.completed, PrStatus.merged)
    types = [event.type for event in await site.events(run)]
    assert types.count(EventType.pr_merged) == types.count(EventType.run_completed) == 1


@pytest.mark.soak
async def test_the_gate_can_be_skipped_and_nothing_to_check_is_no_gate(
    site: Installation, api: ApiServer
) -> None:
    failing, unchecked = await make_pull_request(site, api), await make_pull_request(site, api, ci=False)
    await failing.github.check(failing.sha, "failure")
    jobs = [await failing.merge(skipCiCheck=True), await unchecked.merge(mergeStrategy="rebase")]
    for pull, job_id in zip((failing, unchecked), jobs, strict=True):
        await is_merged(pull, job_id)
        assert await pull.events(EventType.pr_blocked_on_ci) == []
    [asked] = await failing.events(EventType.pr_merge_requested)
    row = await failing.job(jobs[0])
    assert (row.skip_ci_check, asked.data["skipCiCheck"]) == (True, True)
    assert row.requested_by == asked.data["requestedBy"]
    assert unchecked.github.git("log", "-1", "--format=%s", "main") == "Add new.txt"
