"""What was left behind outside: sandboxes and pull requests, found, repaired, and well at the second look."""

import asyncio
from uuid import uuid4

import pytest
from sqlmodel import col

from activities.gateway_factory import GatewayFactory
from activities.reconcile.checks import checks
from activities.reconcile.findings import GRACE, Inconsistency
from activities.reconcile.reconciler import Group, GroupOrder, Reconciler
from activities.runs.pull_request import pull_request_marker
from activities.sandboxes.records import close_sandbox
from activities.schedules.temporal_schedule import sync_temporal_schedule
from gateways.github.client import GitHub
from gateways.sandboxes.control import SandboxProvider
from kit.ids import new_id
from models import Effect, Event, Notification, RecurringTask, Run, Sandbox, UsageRecord
from models.blueprints.blueprint import BlueprintConfig
from models.effect import EffectKind
from models.event import EventType
from models.notifications.notification import NotificationType
from models.runs.run import PrStatus, RunStatus
from models.sandboxes.sandbox import SandboxStatus
from tests.integration.schedules.test_recurring_tasks import a_task
from tests.support.inconsistencies import NO_GRACE, WORK, find_finding, repair_once
from tests.support.installation import Installation
from tests.support.row_locks import wait_for_lock_waiter


async def _a_sandbox(site: Installation, marker: dict[str, str]) -> str:
    handle = await site.sandboxes.ensure({**marker, "test": uuid4().hex}, template="base", timeout_seconds=60)
    return handle.id


@pytest.mark.parametrize("paused", [False, True])
async def test_a_sandbox_of_nobody_is_killed(site: Installation, paused: bool) -> None:
    box_id = await _a_sandbox(site, {"job": new_id("r"), "sandbox": new_id("s")})
    if paused:
        await site.sandboxes.pause(box_id)
    found = await find_finding(site, Inconsistency.orphaned_sandbox, box_id)
    assert found is not None
    assert found.what.startswith(f"This sandbox is {'paused' if paused else 'running'}, but its job r_")
    assert await find_finding(site, Inconsistency.orphaned_sandbox, box_id, GRACE) is None, (
        "its job may be about to be written"
    )
    assert await repair_once(site, Inconsistency.orphaned_sandbox, box_id) == "killed"


async def test_a_sandbox_whose_run_is_over_is_killed_and_its_row_says_so(site: Installation) -> None:
    run = await site.ended(await site.start(f"Over {WORK}"))
    box = Sandbox(project_id=run.project_id, job_id=run.id, name="box", template_id="base", timeout_ms=60_000)
    await site.add(box)
    box_id = await _a_sandbox(site, {"job": run.id, "sandbox": box.id})
    async with site.database.transaction() as session:
        row = await session.get_one(Sandbox, box.id)
        row.provider_id, row.status = box_id, SandboxStatus.running
    assert await repair_once(site, Inconsistency.orphaned_sandbox, box_id) == "killed"
    async with site.database.transaction() as session:
        assert (await session.get_one(Sandbox, box.id)).status is SandboxStatus.killed


async def test_a_sandbox_that_its_job_releases_at_the_same_moment_is_counted_once(site: Installation) -> None:
    run = await site.ended(await site.start(f"Over {WORK}"))
    box = Sandbox(project_id=run.project_id, job_id=run.id, name="box", template_id="base", timeout_ms=60_000)
    await site.add(box)
    box_id = await _a_sandbox(site, {"job": run.id, "sandbox": box.id})
    async with site.database.transaction() as session:
        (await session.get_one(Sandbox, box.id)).mark_running(box_id)
    outside = GatewayFactory(site.settings, site.database)
    check = checks(site.database, site.client, outside, NO_GRACE)[Inconsistency.orphaned_sandbox]
    [finding] = [finding async for finding in check.find() if finding.id == box_id]
    async with site.database.transaction() as session:
        job = await session.get_one(Run, run.id, with_for_update=True)
        repairing = asyncio.create_task(check.repair(finding))
        await wait_for_lock_waiter(site.database)
        close_sandbox(session, job, await session.get_one(Sandbox, box.id))
    assert await repairing == "killed"
    used = await site.rows(UsageRecord, col(UsageRecord.source_id) == box.id, col(UsageRecord.id))
    assert len(used) == 1


async def test_a_sandbox_of_another_owner_is_never_seen(site: Installation) -> None:
    settings = site.settings
    assert settings.e2b_api_key is not None
    other = SandboxProvider(
        settings.e2b_api_key.get_secret_value(),
        api_url=settings.e2b_api_url,
        sandbox_url=settings.e2b_sandbox_url,
        owner="somebody-else",
    )
    handle = await other.ensure({"job": new_id("r")}, template="base", timeout_seconds=60)
    assert await find_finding(site, Inconsistency.orphaned_sandbox, handle.id) is None
    await other.kill(handle.id)


async def test_a_row_whose_sandbox_is_gone_is_marked(site: Installation) -> None:
    run = await site.accept(f"Without a sandbox {WORK}")
    box = Sandbox(project_id=run.project_id, job_id=run.id, name="box", template_id="base", timeout_ms=60_000)
    box.provider_id, box.status = "i-was-there-once", SandboxStatus.running
    await site.add(box)
    assert await find_finding(site, Inconsistency.missing_sandbox, box.id, GRACE) is None
    assert await repair_once(site, Inconsistency.missing_sandbox, box.id) == "marked as lost"
    async with site.database.transaction() as session:
        row = await session.get_one(Sandbox, box.id)
    assert (row.status, row.error_message) == (
        SandboxStatus.error,
        "The provider has no such sandbox any more.",
    )
    assert [event.type for event in await site.events(run)][-1] == EventType.sandbox_lost


async def _half_made(site: Installation) -> Run:
    """A run that pushed its branch, meant to open a pull request, and was lost."""
    run = await site.ended(await site.start(f"Half made {WORK}", config=BlueprintConfig(create_pr=False)))
    async with site.database.transaction() as session:
        row = await session.get_one(Run, run.id)
        row.status, row.pr_status = RunStatus.failed, PrStatus.creating
        session.add(Effect.new_intent(run.id, EffectKind.pull_request))
    return await site.read(run)


async def test_run_without_a_pull_request_is_not_marked_failed(site: Installation) -> None:
    """As after the restore of a dump: the workflow completed, the row does not know whether it opened one."""
    run = await site.ended(await site.start(f"Opens none {WORK}", config=BlueprintConfig(create_pr=False)))
    async with site.database.transaction() as session:
        session.add(Effect.new_intent(run.id, EffectKind.pull_request))
    assert await repair_once(site, Inconsistency.unsettled_pull_request, run.id) == "there is none"
    assert (await site.read(run)).pr_status is None
    assert EventType.pr_failed not in [event.type for event in await site.events(run)]


async def test_a_pull_request_that_was_opened_is_written_down_once(site: Installation) -> None:
    run = await _half_made(site)
    token = site.settings.github_token
    assert token is not None
    assert run.branch_name is not None
    github = GitHub(
        token.get_secret_value(),
        api_url=site.settings.github_api_url,
        database=site.database,
        spacing_seconds=0,
    )
    made = await github.ensure_pull_request(
        run.repository_slug,
        head=run.branch_name,
        base="main",
        title="Half made",
        body="Half made",
        draft=False,
        marker=pull_request_marker(run.id),
    )
    assert await find_finding(site, Inconsistency.unsettled_pull_request, run.id, GRACE) is None, (
        "it may be written any moment"
    )
    assert await repair_once(site, Inconsistency.unsettled_pull_request, run.id) == f"found: {made.url}"
    after = await site.read(run)
    assert (after.pr_status, after.pr_url, after.pr_number) == (PrStatus.created, made.url, made.number)
    assert [event.type for event in await site.events(run)].count(EventType.pr_created) == 1
    of_project = col(Notification.project_id) == run.project_id
    told = [each.type for each in await site.rows(Notification, of_project, col(Notification.id))]
    assert told.count(NotificationType.pr_created) == 1


async def test_a_pull_request_that_never_was_has_failed(site: Installation) -> None:
    run = await _half_made(site)
    assert (
        await repair_once(site, Inconsistency.unsettled_pull_request, run.id)
        == "there is none: marked as failed"
    )
    assert ((await site.read(run)).pr_status, (await site.read(run)).pr_url) == (PrStatus.failed, None)
    last = (await site.rows(Event, col(Event.subject_id) == run.id, col(Event.seq)))[-1]
    assert last.type == EventType.pr_failed


async def test_a_schedule_without_a_task_and_a_task_without_a_schedule(site: Installation) -> None:
    """The site's own sweep may be quicker."""
    task, gone = await a_task(site), await a_task(site)
    await sync_temporal_schedule(site.database, site.client, gone.id)
    async with site.database.transaction() as session:
        await session.delete(await session.get_one(RecurringTask, gone.id))
    for each, what in ((task.id, "no schedule"), (gone.id, "is deleted")):
        found = await find_finding(site, Inconsistency.schedule, each)
        if found is not None:
            assert what in found.what
            await repair_once(site, Inconsistency.schedule, each)
        assert await find_finding(site, Inconsistency.schedule, each) is None


async def test_the_sweep_looks_for_every_kind(site: Installation) -> None:
    """And leaves alone what is younger than the grace."""
    box_id = await _a_sandbox(site, {"job": new_id("r")})
    reconciler = Reconciler(site.database, site.client, GatewayFactory(site.settings, site.database))
    for group in Group:
        report = await reconciler.reconcile(GroupOrder(installation=site.installation, group=group))
        assert report.problem is None
    assert box_id in {facts.id for facts in await site.sandboxes.find({})}
    await site.sandboxes.kill(box_id)
