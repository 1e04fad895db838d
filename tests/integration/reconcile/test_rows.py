"""Rows and workflows that do not fit together: found, repaired, and well at the second look."""

from collections.abc import Awaitable, Callable

import pytest
from sqlmodel import col

from activities.gateway_factory import GatewayFactory
from activities.reconcile.executions import CLOSED_STATUSES, workflow_status
from activities.reconcile.findings import GRACE, Inconsistency
from activities.reconcile.reconciler import Group, GroupOrder, Reconciler
from models import AgentSession, Event, Issue, Notification, Run, Sandbox
from models.chains.chain import ChainStatus
from models.event import EventType
from models.issues.answering_session import AnsweringStatus
from models.issues.issue import IssueStatus
from models.jobs.job import WORKFLOW_LOST
from models.jobs.job_registry import WorkflowRow, load_rows
from models.notifications.notification import NotificationType
from models.runs.run import RunStatus
from models.sandboxes.sandbox import SandboxStatus
from models.trash.row_removal import remove_job
from tests.integration.chains import test_sprint_chains as sprints
from tests.integration.chains import test_work_chains as works
from tests.integration.issues import test_answering_sessions as answers
from tests.integration.issues import test_issue_sessions as scans
from tests.support import chains
from tests.support.inconsistencies import SLOW_WORK, WORK, find_all, find_finding, repair_once
from tests.support.installation import Installation, wait_until


async def read(site: Installation, id: str) -> WorkflowRow:
    async with site.database.transaction() as session:
        return (await load_rows(session, [id]))[id]


async def _kinds(site: Installation, id: str) -> list[str]:
    return [event.type for event in await site.rows(Event, col(Event.subject_id) == id, col(Event.seq))]


async def _a_run(site: Installation) -> WorkflowRow:
    run = await site.accept(f"Lost {WORK}")
    async with site.database.transaction() as session:
        (await session.get_one(Run, run.id)).mark_started()
    return run


async def _a_scan(site: Installation) -> WorkflowRow:
    scan = await scans.a_scan(site, scans.CLEAN)
    async with site.database.transaction() as session:
        (await session.merge(scan)).mark_started()
    return scan


async def _answers(site: Installation) -> WorkflowRow:
    """Its workflow was terminated while it waited for reviews."""
    row = await answers.a_session(site)
    await answers.reaches(site, row, AnsweringStatus.active)
    await site.client.get_workflow_handle(row.id).terminate()
    return row


async def _sprints(site: Installation) -> WorkflowRow:
    return await sprints.a_chain(site, 2, status=ChainStatus.paused)


async def _works(site: Installation) -> WorkflowRow:
    return await works.a_chain(site, works.WORKED, status=ChainStatus.running)


@pytest.mark.parametrize("damaged", [_a_run, _a_scan, _answers, _sprints, _works])
async def test_a_row_without_its_workflow_is_closed_as_failed(
    site: Installation, damaged: Callable[[Installation], Awaitable[WorkflowRow]]
) -> None:
    row = await damaged(site)
    found = await find_finding(site, Inconsistency.abandoned_row, row.id)
    assert found is not None
    assert "its workflow" in found.what
    assert await repair_once(site, Inconsistency.abandoned_row, row.id) == "closed as failed, WORKFLOW_LOST"
    closed = await read(site, row.id)
    assert (closed.status, closed.error_code) == ("failed", WORKFLOW_LOST)
    assert "/api/v1/" in (closed.error_message or "")
    last = (await _kinds(site, row.id))[-1]
    assert last in ("run.failed", "issue-session.ended", "answering-session.ended", "chain.ended")


async def test_what_a_lost_run_leaves_behind_goes_with_it(site: Installation) -> None:
    run = await _a_run(site)
    issue = Issue(project_id=run.project_id, title="Half done", status=IssueStatus.running, run_id=run.id)
    box = Sandbox(project_id=run.project_id, job_id=run.id, name="box", template_id="base", timeout_ms=60_000)
    await site.add(issue, box)
    handle = await site.sandboxes.ensure(
        {"job": run.id, "sandbox": box.id}, template="base", timeout_seconds=60
    )
    async with site.database.transaction() as session:
        row = await session.get_one(Sandbox, box.id)
        row.provider_id, row.status = handle.id, SandboxStatus.running
    await repair_once(site, Inconsistency.abandoned_row, run.id)
    assert await site.sandboxes.find({"job": run.id}) == []
    async with site.database.transaction() as session:
        assert (await session.get_one(Sandbox, box.id)).status is SandboxStatus.killed
        assert (await session.get_one(Issue, issue.id)).status is IssueStatus.failed
    of_project = col(Notification.project_id) == run.project_id
    [told] = await site.rows(Notification, of_project, col(Notification.id))
    assert (told.type, told.data["runId"]) == (NotificationType.run_failed, run.id)


async def test_what_the_engine_completed_is_not_contradicted(site: Installation) -> None:
    """As after the database was restored from the minute before the run ended."""
    run = await site.ended(await site.start(f"Completed {WORK}"))
    async with site.database.transaction() as session:
        row = await session.get_one(Run, run.id)
        row.status, row.completed_at = RunStatus.running, None
    assert await repair_once(site, Inconsistency.abandoned_row, run.id) == "closed as completed"
    assert (await site.read(run)).error_code is None


async def test_a_row_that_nobody_started_is_started(site: Installation) -> None:
    run = await site.accept(f"Never started {WORK}")
    assert await find_finding(site, Inconsistency.unstarted_row, run.id, GRACE) is None, (
        "between the commit and the start"
    )
    assert await find_finding(site, Inconsistency.abandoned_row, run.id) is None
    assert await repair_once(site, Inconsistency.unstarted_row, run.id) == "started"
    assert (await site.ended(run)).status is RunStatus.completed


async def test_a_pending_row_whose_workflow_is_over_is_closed(site: Installation) -> None:
    """It was terminated before it began: no other one can be started under its id."""
    run = await site.ended(await site.start(f"Over {WORK}"))
    async with site.database.transaction() as session:
        row = await session.get_one(Run, run.id)
        row.status, row.completed_at = RunStatus.pending, None
    assert await find_finding(site, Inconsistency.unstarted_row, run.id) is None
    await repair_once(site, Inconsistency.abandoned_row, run.id)


async def _held(site: Installation) -> tuple[Run, AgentSession]:
    """A run that rests after one of its turns, and its agent's session."""
    run = await site.start(f"Held {SLOW_WORK}")
    await site.until(run, EventType.tool_completed)
    await site.command(run, "pause")
    [agent] = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
    return run, agent


async def _closed(site: Installation, id: str) -> None:
    async def is_closed() -> bool:
        return await workflow_status(site.client, id) in CLOSED_STATUSES

    await wait_until(is_closed, f"the workflow {id} is over")


async def _listed(site: Installation, id: str) -> None:
    """The engine lists what there is a little later."""

    async def is_listed() -> bool:
        return await find_finding(site, Inconsistency.orphaned_workflow, id) is not None

    await wait_until(is_listed, f"the workflow {id} is found to be a stray")


async def test_workflows_whose_row_was_deleted_are_ended(site: Installation) -> None:
    run, agent = await _held(site)
    async with site.database.transaction() as session:
        await remove_job(session, await session.get_one(Run, run.id))
    await _listed(site, run.id)
    await _listed(site, agent.id)
    await repair_once(site, Inconsistency.orphaned_workflow, run.id)
    for each in (run.id, agent.id):
        await _closed(site, each)
        assert await find_finding(site, Inconsistency.orphaned_workflow, each) is None


async def test_workflows_whose_row_is_over_are_ended(site: Installation) -> None:
    run, _ = await _held(site)
    async with site.database.transaction() as session:
        row = await session.get_one(Run, run.id)
        row.close(RunStatus.failed, code=WORKFLOW_LOST)
    await _listed(site, run.id)
    assert await find_finding(site, Inconsistency.orphaned_workflow, run.id, GRACE) is None, (
        "it may be about to end"
    )
    assert await repair_once(site, Inconsistency.orphaned_workflow, run.id) == "cancelled"
    assert (await site.read(run)).status is RunStatus.failed, "the first ending stays"


async def test_nothing_healthy_is_found(site: Installation) -> None:
    """A run that is held, a chain between two sprints, reviews that are waited for."""
    run, agent = await _held(site)
    chain = await chains.start(site, await sprints.a_chain(site, 2, sprints.SLOW))
    await chains.wait_for_started_runs(site, chain, 1)
    await site.client.get_workflow_handle(chain.id).signal("pause")
    await chains.wait_for_status(site, chain, ChainStatus.paused)
    [sprint] = await chains.chain_runs(site, chain)
    await site.ended(sprint)
    waiting = await answers.a_session(site)
    await answers.reaches(site, waiting, AnsweringStatus.active)
    [box] = await site.rows(Sandbox, col(Sandbox.job_id) == run.id, col(Sandbox.id))
    healthy = {run.id, agent.id, chain.id, sprint.id, waiting.id, waiting.issue_session_id}
    healthy |= {box.id, box.provider_id or ""}
    for damage in Inconsistency:
        assert healthy & (await find_all(site, damage)).keys() == set(), damage
    await site.command(run, "resume")
    await site.client.get_workflow_handle(chain.id).signal("resume")
    assert (await site.ended(run)).status is RunStatus.completed
    await chains.wait_for_status(site, chain, ChainStatus.completed)


async def test_the_sweep_closes_by_itself_what_was_silent_for_longer_than_the_grace(
    site: Installation,
) -> None:
    """The site's own sweep may be quicker; either way it is closed once."""
    run = await _a_run(site)
    async with site.database.transaction() as session:
        row = await session.get_one(Run, run.id)
        row.started_at = row.created_at - 2 * GRACE
    reconciler = Reconciler(site.database, site.client, GatewayFactory(site.settings, site.database))
    await reconciler.reconcile(GroupOrder(installation=site.installation, group=Group.workflows))
    closed = await read(site, run.id)
    assert (closed.status, closed.error_code) == ("failed", WORKFLOW_LOST)
    assert (await _kinds(site, run.id)).count(EventType.run_failed) == 1
