"""The records of a sandbox's begin and end: its row, its own log and its job's, and the usage of it."""

from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.exceptions import ApplicationError

from kit.database import Database
from models import Run, Sandbox, UsageRecord
from models.base import now
from models.blueprints.blueprint import SandboxConfig
from models.budgets.usage import UsageUnit, source_column
from models.event import EventType, append_event
from models.jobs.job import Job
from models.jobs.job_lookup import get_job
from models.sandboxes.loss import find_loss
from models.sandboxes.sandbox import (
    SandboxEventType,
    SandboxPurpose,
    SandboxStatus,
    get_live_sandbox,
    sandbox_event,
)


def close_sandbox(
    session: AsyncSession,
    job: Job,
    sandbox: Sandbox,
    status: SandboxStatus = SandboxStatus.killed,
    error: str | None = None,
) -> bool:
    """Mark a sandbox gone, with what was used of it, and tell its job; False when it was marked before."""
    if not sandbox.mark_ended(status, error):
        return False
    session.add(_build_usage_record(job, sandbox))
    if not job.is_finished and status is SandboxStatus.killed:
        append_event(session, job, EventType.sandbox_killed, {"sandboxId": sandbox.id})
    return True


async def mark_sandbox_lost(session: AsyncSession, job: Job, sandbox: Sandbox, error: str) -> bool:
    """Mark a sandbox lost and tell its job what is lost with it; False when it was marked gone before."""
    if not close_sandbox(session, job, sandbox, SandboxStatus.error, error):
        return False
    if not job.is_finished:
        loss = await find_loss(session, sandbox)
        append_event(session, job, EventType.sandbox_lost, {"sandboxId": sandbox.id, **loss.event})
    return True


def _build_usage_record(job: Job, sandbox: Sandbox) -> UsageRecord:
    """How long a sandbox that just ended has lived; sandboxes have no price of their own yet."""
    ended, started = sandbox.killed_at or now(), sandbox.started_at or sandbox.created_at
    names = source_column(job.id)
    return UsageRecord(
        project_id=job.project_id,
        service="e2b",
        quantity=round((ended - started).total_seconds()),
        unit=UsageUnit.sandbox_seconds,
        cost_usd=Decimal(0),
        sandbox_id=sandbox.id,
        run_id=names.get("run_id"),
        issue_session_id=names.get("issue_session_id"),
        chain_id=job.chain_id if isinstance(job, Run) else None,
        source_id=sandbox.id,
    )


JOB_OVER = "JOB_OVER"
"""The code of what is refused to a job that is over."""


async def get_or_create_sandbox_row(
    database: Database,
    job_id: str,
    config: SandboxConfig,
    purpose: SandboxPurpose = SandboxPurpose.work,
    commit_sha: str | None = None,
) -> Sandbox:
    """The job's live sandbox of a purpose, or a new row for one; JOB_OVER when the job needs none any more.

    The job's row is held meanwhile, so that a second execution finds what the first one made.
    commit_sha: what a verification is of; None for the job's base commit.
    """
    async with database.transaction() as session:
        job = await get_job(session, job_id, lock=True)
        live = await get_live_sandbox(session, job_id, purpose)
        if live is not None and (purpose is SandboxPurpose.work or live.commit_sha == commit_sha):
            return live
        if live is not None:  # left by a verification of another commit; the sweep kills it
            close_sandbox(session, job, live)
            await session.flush()
        if job.is_finished:
            raise ApplicationError("The job is over.", type=JOB_OVER, non_retryable=True)
        sandbox = Sandbox(
            project_id=job.project_id,
            job_id=job_id,
            purpose=purpose,
            commit_sha=commit_sha,
            name=job.name,
            template_id=config.template_id,
            memory_mb=config.memory_mb,
            cpu_count=config.cpu_count,
            timeout_ms=config.timeout_ms,
        )
        session.add(sandbox)
        append_event(session, job, EventType.sandbox_creating, {"sandboxId": sandbox.id, "purpose": purpose})
        return sandbox


async def mark_running(database: Database, job_id: str, sandbox_id: str, provider_id: str) -> None:
    """Write down that it runs, once, and what the provider calls it."""
    async with database.transaction() as session:
        job = await get_job(session, job_id, lock=True)
        sandbox = await session.get_one(Sandbox, sandbox_id, with_for_update=True)
        if not sandbox.mark_running(provider_id):
            return
        session.add(sandbox_event(sandbox_id, SandboxEventType.sandbox_create, f"{provider_id} runs."))
        if not job.is_finished:
            job.set_progress("The sandbox runs.")
            append_event(session, job, EventType.sandbox_running, {"sandboxId": sandbox_id})
