"""What may be put into the trash, or deleted for good: nothing that something at work needs."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict
from kit.ids import is_id
from models.blueprints.blueprint import Blueprint
from models.chains.chain import ChainStatus
from models.chains.sprint_chain import SprintChain
from models.chains.work_chain import WorkChain
from models.issues.answering_session import AnsweringSession
from models.issues.issue_session import IssueSession
from models.jobs.job import WORKFLOW_LOST
from models.jobs.job_lookup import get_job
from models.merging.merge_job import MergeJob, MergeStatus
from models.runs.checkpoints import unfinished_successor
from models.runs.run import Run
from models.sandboxes.sandbox import Sandbox, SandboxStatus
from models.sandboxes.sandbox_job import SandboxJob
from models.schedules.recurring_task import RecurringTask
from models.trash.trashable import Trashable

LIVE_SANDBOX_STATUSES = (SandboxStatus.creating, SandboxStatus.running, SandboxStatus.paused)
UNFINISHED_CHAIN_STATUSES = [status for status in ChainStatus if not status.is_final]


async def allow_always(session: AsyncSession, row: Trashable) -> None:
    """Of kinds that jobs only use through the snapshot of their start."""


async def require_run_finished(session: AsyncSession, run: Run) -> None:
    """Nor may its pull request be on its way into the base branch, nor its chain be at work."""
    if not run.status.is_final:
        raise Conflict(f"Run {run.run_number} is {run.status}: cancel it first.")
    merging = select(MergeJob).where(
        col(MergeJob.run_id) == run.id, col(MergeJob.status).in_([MergeStatus.pending, MergeStatus.running])
    )
    if job := (await session.execute(merging)).scalars().first():
        raise Conflict(f"The pull request of run {run.run_number} is being merged: wait for {job.id}.")
    if run.error_code == WORKFLOW_LOST and (successor := await unfinished_successor(session, run)):
        raise Conflict(
            f"Run {successor.run_number} goes on from what run {run.run_number} left:"
            " wait for its end, or cancel it."
        )
    if run.chain_id is None:
        return
    chain: SprintChain | WorkChain | None
    if is_id(run.chain_id, "wc"):
        chain = await session.get(WorkChain, run.chain_id)
    else:
        chain = await session.get(SprintChain, run.chain_id)
    if chain is not None and _is_active(chain):
        raise Conflict(
            f"Run {run.run_number} belongs to chain {chain.id}, which is {chain.status}: cancel that first."
        )


async def require_sandbox_idle(session: AsyncSession, sandbox: Sandbox) -> None:
    """One that lives needs its job's consent; one of one's own is ended by whoever deletes it."""
    if sandbox.status not in LIVE_SANDBOX_STATUSES:
        return
    job = await get_job(session, sandbox.job_id)
    if not job.is_finished and not isinstance(job, SandboxJob):
        raise Conflict(f"The sandbox is {sandbox.status} and {job.id} is at work in it: cancel that first.")


async def require_blueprint_unused(session: AsyncSession, blueprint: Blueprint) -> None:
    """Runs in flight keep the version that they started with; what starts further runs would miss it."""
    tasks = select(RecurringTask).where(
        col(RecurringTask.target_workflow_id) == blueprint.id, col(RecurringTask.is_active)
    )
    if task := (await session.execute(tasks)).scalars().first():
        raise Conflict(
            f"The active recurring task {task.id} (“{task.title}”) uses the workflow '{blueprint.name}': "
            "switch it off or give it another workflow first."
        )
    for table in (SprintChain, WorkChain):
        chains = select(table).where(
            col(table.workflow_id) == blueprint.id, col(table.status).in_(UNFINISHED_CHAIN_STATUSES)
        )
        for chain in (await session.execute(chains)).scalars():
            if _is_active(chain):
                raise Conflict(
                    f"Chain {chain.id} uses the workflow '{blueprint.name}' and is {chain.status}: "
                    "cancel it first."
                )


async def require_issue_session_finished(session: AsyncSession, scan: IssueSession) -> None:
    """Nor may an answering session be at work on what it found."""
    if not scan.is_finished:
        raise Conflict(f"The issue session is {scan.status}: cancel it first.")
    answering = select(AnsweringSession).where(
        col(AnsweringSession.issue_session_id) == scan.id, col(AnsweringSession.completed_at).is_(None)
    )
    if row := (await session.execute(answering)).scalars().first():
        raise Conflict(f"Answering session {row.id} is {row.status} on it: archive that first.")


async def require_answering_session_finished(session: AsyncSession, row: AnsweringSession) -> None:
    if not row.is_finished:
        raise Conflict(f"The answering session is {row.status}: archive it first.")


def _is_active(chain: SprintChain | WorkChain) -> bool:
    """A work chain whose start nobody asked for waits for its user."""
    return chain.is_active if isinstance(chain, WorkChain) else not chain.status.is_final
