"""How merges end when they are not simply done: explained, put right, and never left hanging."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col

from activities.gateway_factory import GatewayFactory
from activities.jobs.launch import MergeInput, build_merge_start, start_workflow
from activities.merging.pull_request_merge import PullRequestMergeActivities
from activities.reconcile.admission import START_SCHEDULE
from models import Event, Member, MergeJob, Run
from models.base import now
from models.blueprints.blueprint import BlueprintConfig
from models.event import EventType
from models.merging.merge_job import MergeKind, MergeStatus
from models.notifications.notification import NotificationType
from models.runs.run import PrStatus
from tests.support.github import ApiServer, serving_api
from tests.support.installation import Installation, wait_until
from tests.support.pull_requests import OpenPullRequest, make_pull_request

MERGED, FAILED = MergeStatus.completed, MergeStatus.failed


@pytest.fixture(scope="module")
async def api(site: Installation) -> AsyncIterator[ApiServer]:
    async with serving_api(site) as api:
        yield api


async def has_failed(pull: OpenPullRequest, job_id: str, code: str) -> dict[str, Any]:
    """The pull request stays open, and the members are told once."""
    job = await pull.reaches(job_id, FAILED)
    assert job["error"]["code"] == code
    assert await pull.status() is PrStatus.created
    [event] = await pull.events(EventType.pr_merge_failed)
    [told] = await pull.told()
    assert (told.type, told.event_id) == (NotificationType.pr_failed, event.id)
    assert told.body == job["error"]["message"]
    assert await pull.events(EventType.pr_merged) == []
    return job


async def test_a_conflict_is_named(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api, ci=False)
    other = await pull.github.commit("main", {"new.txt": "another\n"}, "Add another new.txt")
    await pull.github.move("main", other)
    job = await has_failed(pull, await pull.merge(), "MERGE_CONFLICT")
    assert "conflicts with main" in job["error"]["message"]
    [conflict] = job["conflicts"]
    assert (conflict["prNumber"], conflict["prUrl"]) == (pull.run.pr_number, pull.run.pr_url)


async def test_what_github_refuses_is_told_in_its_words(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api, ci=False, draft=True)
    job = await has_failed(pull, await pull.merge(), "MERGE_REFUSED")
    assert "Pull Request is still a draft" in job["error"]["message"]
    await pull.github.ask("PATCH", f"/pulls/{pull.run.pr_number}", {"state": "closed"})
    [before] = await pull.told()
    job_id = await pull.merge()
    closed = await pull.reaches(job_id, FAILED)
    assert closed["error"]["code"] == "PULL_REQUEST_CLOSED"
    assert await pull.status() is PrStatus.failed
    assert len(await pull.told()) == 2
    assert before.data["mergeJobId"] != job_id


async def test_rules_of_the_repository_hold_in_any_case(site: Installation, api: ApiServer) -> None:
    """A review that is missing is told; a check that is missing is waited for."""
    pull = await make_pull_request(site, api, ci=False)
    await protect(pull, required_pull_request_reviews={"required_approving_review_count": 1})
    job = await has_failed(pull, await pull.merge(skipCiCheck=True), "MERGE_REFUSED")
    assert "approving review is required" in job["error"]["message"]
    await protect(pull, required_status_checks={"strict": False, "contexts": ["build"]})
    job_id = await pull.merge()
    assert "build" in (await pull.blocked(job_id))["waiting"]["message"]
    await pull.github.check(pull.sha, "success", "build")
    await api.tell_of_check(pull.github.slug, pull.sha)
    await pull.reaches(job_id, MERGED)


async def protect(pull: OpenPullRequest, **rules: object) -> None:
    none = {"required_status_checks": None, "required_pull_request_reviews": None, "restrictions": None}
    await pull.github.ask("PUT", "/branches/main/protection", {**none, "enforce_admins": True, **rules})


async def test_merged_already_is_no_error(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api, ci=False)
    there = await pull.github.ask("PUT", f"/pulls/{pull.run.pr_number}/merge", {})
    job = await pull.reaches(await pull.merge(), MERGED)
    assert job["mergeSha"] == there["sha"]
    assert await pull.status() is PrStatus.merged
    again = await pull.reaches(await pull.merge(), MERGED)
    assert again["mergeSha"] == there["sha"]
    assert len(await pull.told()) == len(await pull.events(EventType.pr_merged)) == 1


async def test_merged_on_github_while_it_waits(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api)
    await pull.github.begin_check(pull.sha)
    job_id = await pull.merge()
    await pull.blocked(job_id)
    there = await pull.github.ask("PUT", f"/pulls/{pull.run.pr_number}/merge", {})
    told = {"number": pull.run.pr_number, "merged": True, "merge_commit_sha": there["sha"]}
    await api.tell("pull_request", pull.github.slug, action="closed", pull_request=told)
    job = await pull.reaches(job_id, MERGED)
    assert job["mergeSha"] == there["sha"]
    assert len(await pull.told()) == len(await pull.events(EventType.pr_merged)) == 1


async def test_the_branch_is_deleted_if_the_workflow_says_so(site: Installation, api: ApiServer) -> None:
    config = BlueprintConfig(delete_branch_on_merge=True)
    pull, added = [await make_pull_request(site, api, ci=False, config=config) for _ in range(2)]
    await pull.reaches(await pull.merge(), MERGED)
    await site.until(pull.run, EventType.branch_deleted)
    assert not await pull.github.has_branch(pull.branch)
    deleted = await pull.events(EventType.branch_deleted)
    again = PullRequestMergeActivities(site.database, GatewayFactory(site.settings, site.database))
    await again.delete_merged_branch(str(deleted[0].data["mergeJobId"]))
    assert await pull.events(EventType.branch_deleted, EventType.branch_kept) == deleted
    merged = await added.github.ask("PUT", f"/pulls/{added.run.pr_number}/merge", {})
    later = await added.github.commit(added.sha, {"more.txt": "more\n"}, "Too late")
    await added.github.move(added.branch, later)
    assert (await added.reaches(await added.merge(), MERGED))["mergeSha"] == merged["sha"]
    kept = await site.until(added.run, EventType.branch_kept)
    assert await added.github.has_branch(added.branch)
    assert "Commits were added" in str(kept.data["reason"])


async def test_cancelled_by_an_operator_the_pull_request_stays_open(
    site: Installation, api: ApiServer
) -> None:
    pull = await make_pull_request(site, api)
    await pull.github.begin_check(pull.sha)
    job_id = await pull.merge()
    await pull.blocked(job_id)
    await site.client.get_workflow_handle(job_id).cancel()
    await has_failed(pull, job_id, "CANCELLED")
    assert (await pull.github.pull(pull.run.pr_number))["state"] == "open"


async def test_a_deleted_run_ends_its_merge(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api)
    await pull.github.begin_check(pull.sha)
    job_id = await pull.merge()
    await pull.blocked(job_id)
    async with site.database.transaction() as session:
        (await session.get_one(Run, pull.run.id, with_for_update=True)).trash()
    await has_failed(pull, job_id, "RUN_DELETED")


async def a_job(pull: OpenPullRequest) -> MergeJob:
    """A pending merge, as the API leaves it when it is killed before the start."""
    [member] = await pull.site.rows(Member, col(Member.project_id) == pull.run.project_id, col(Member.id))
    job = MergeJob(
        name="Merge",
        github_repo_url="u",
        project_id=pull.run.project_id,
        kind=MergeKind.pull_request,
        run_id=pull.run.id,
        repository_slug=pull.github.slug,
        requested_by=member.id,
        pull_requests=[{"prUrl": pull.run.pr_url, "prNumber": pull.run.pr_number}],
    )
    await pull.site.add(job)
    return job


async def test_left_pending_the_sweep_starts_it(site: Installation, api: ApiServer) -> None:
    pull = await make_pull_request(site, api, ci=False)
    job = await a_job(pull)

    async def is_merged() -> bool:
        await site.client.get_schedule_handle(START_SCHEDULE).trigger()
        return (await pull.job(job.id)).status is MERGED

    await wait_until(is_merged, "the sweep has started it")
    events = await site.rows(Event, col(Event.subject_id) == job.id, col(Event.seq))
    assert [event.type for event in events] == [EventType.merge_started, EventType.merge_ended]


async def test_after_a_week_it_gives_up(site: Installation, api: ApiServer) -> None:
    """And looks one last time before."""
    pull = await make_pull_request(site, api)
    await pull.github.check(pull.sha, "failure", "lint")
    told = MergeInput.of(await a_job(pull))
    began = told.model_copy(update={"began": now() - timedelta(days=7)})
    await start_workflow(site.client, build_merge_start(began))
    job = await has_failed(pull, told.job_id, "TIME_LIMIT")
    assert job["error"]["message"] == "Not within 7 days. CI has failed: lint."
