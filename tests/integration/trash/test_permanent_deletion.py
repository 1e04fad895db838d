"""A run deleted for good on the real site: no row, no sandbox, no hidden ref, whoever dies when."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from activities.reconcile.admission import TRASH_SCHEDULE
from activities.trash.launch import Deletion, start_deletion
from gateways.git.repository import checkpoint_ref
from models import (
    AgentSession,
    Effect,
    Event,
    Issue,
    JobSnapshot,
    Notification,
    Run,
    RunStep,
    Sandbox,
    UsageRecord,
)
from models.base import now
from models.issues.issue import IssueStatus
from models.runs.run import RunStatus
from models.sandboxes.sandbox import SandboxStatus
from models.trash import moves
from models.trash.kinds import RUN, SANDBOX
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.interrupted_runs import checkpoint_refs, start_run_with_checkpoint
from tests.support.outcomes import git
from tests.support.stack import Servers


async def purge(site: Installation, run: Run) -> None:
    """As the API does, before it tells the engine."""
    async with site.database.transaction() as session:
        await moves.purge(session, RUN, await session.get_one(Run, run.id, with_for_update=True))


async def a_cancelled_run(site: Installation) -> Run:
    """With a checkpoint that was left behind, a notification and an issue."""
    run = await start_run_with_checkpoint(site)
    await site.handle(run).cancel()
    run = await site.ended(run)
    assert run.status is RunStatus.cancelled
    assert checkpoint_refs(site, run) == [], "its checkpoint ended with it"
    git(site, run, "update-ref", checkpoint_ref(run.id), str(run.base_sha))
    await site.add(Issue(project_id=run.project_id, title="Bug", run_id=run.id, status=IssueStatus.failed))
    return run


async def is_gone(site: Installation, run: Run) -> bool:
    return await site.rows(Run, col(Run.id) == run.id, col(Run.id)) == []


async def leaves_nothing(site: Installation, run: Run) -> None:
    """But its issue, and what it cost."""
    owners = (
        (RunStep.run_id, run.id),
        (AgentSession.job_id, run.id),
        (Sandbox.job_id, run.id),
        (JobSnapshot.job_id, run.id),
        (Event.subject_id, run.id),
        (Effect.subject_id, run.id),
        (Notification.project_id, run.project_id),
    )
    async with site.database.transaction() as session:
        for owner, value in owners:
            found = await session.execute(select(func.count()).where(col(owner) == value))
            assert found.scalar_one() == 0, owner
    assert await site.sandboxes.find({"job": run.id}) == []
    assert checkpoint_refs(site, run) == []
    of_project = col(UsageRecord.project_id) == run.project_id
    usage = await site.rows(UsageRecord, of_project, col(UsageRecord.id))
    # An answer that the cancel cut off is charged, too, after the run was read.
    assert sum(each.cost_usd for each in usage) >= run.cost_usd > 0
    assert {(each.run_id, each.sandbox_id, each.source_id == each.id) for each in usage} == {
        (None, None, True)
    }
    [issue] = await site.rows(Issue, col(Issue.project_id) == run.project_id, col(Issue.id))
    assert (issue.run_id, issue.status) == (None, IssueStatus.failed)


async def test_a_run_leaves_nothing_but_its_price(site: Installation) -> None:
    """The schedule starts what nobody started, and starting it again changes nothing."""
    run = await a_cancelled_run(site)
    box = Sandbox(
        project_id=run.project_id, job_id=run.id, name="left", template_id="base", timeout_ms=60_000
    )
    handle = await site.sandboxes.ensure(
        {"job": run.id, "sandbox": box.id}, template="base", timeout_seconds=60
    )
    box.provider_id, box.status = handle.id, SandboxStatus.running
    await site.add(box)
    await purge(site, run)
    async with site.database.transaction() as session:
        row = await session.get_one(Run, run.id)
        row.purged_at = now().replace(year=2020)
    await site.client.get_schedule_handle(TRASH_SCHEDULE).trigger()
    await wait_until(lambda: is_gone(site, run), f"{run.id} is gone")
    await leaves_nothing(site, run)
    deletion = Deletion(type=RUN.entity, id=run.id, project_id=run.project_id)
    await start_deletion(site.client, deletion)
    await site.client.get_workflow_handle(deletion.temporal_workflow_id).result()
    await leaves_nothing(site, run)


@pytest.mark.soak
@pytest.mark.parametrize("seam", ["sandbox-killed", "ref-deleted"])
async def test_a_worker_killed_half_way_is_replaced(parts: Servers, tmp_path: Path, seam: str) -> None:
    async with open_installation(parts, f"deletion-{seam}", tmp_path / "site") as site:
        await site.start_worker()
        run = await a_cancelled_run(site)
        deletion = Deletion(type=RUN.entity, id=run.id, project_id=run.project_id)
        site.set_trap(f"{seam}@{deletion.temporal_workflow_id}")
        await purge(site, run)
        await start_deletion(site.client, deletion)
        assert await site.workers[-1].ended(60), f"the worker never came to {seam}"
        assert not await is_gone(site, run)
        await site.start_worker()
        await wait_until(lambda: is_gone(site, run), f"{run.id} is gone", 60)
        await leaves_nothing(site, run)


async def test_a_sandbox_goes_with_the_conversations_in_it(site: Installation) -> None:
    run = await a_cancelled_run(site)
    [box] = await site.rows(Sandbox, col(Sandbox.job_id) == run.id, col(Sandbox.id))
    async with site.database.transaction() as session:
        await moves.purge(session, SANDBOX, await session.get_one(Sandbox, box.id))
    await start_deletion(site.client, Deletion.of(box))

    async def box_is_gone() -> bool:
        return await site.rows(Sandbox, col(Sandbox.id) == box.id, col(Sandbox.id)) == []

    await wait_until(box_is_gone, f"{box.id} is gone")
    of_run = col(AgentSession.job_id) == run.id
    assert await site.rows(AgentSession, of_run, col(AgentSession.id)) == []
    steps = await site.rows(RunStep, col(RunStep.run_id) == run.id, col(RunStep.id))
    assert [step.sandbox_ids for step in steps] == [[], []]
    assert not await is_gone(site, run)
