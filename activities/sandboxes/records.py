"""The end of a sandbox, on its row, in its job's log, and with what was used of it."""

from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from models import Run, Sandbox, UsageRecord
from models.base import now
from models.budgets.usage import UsageUnit, source_column
from models.event import EventType, append_event
from models.jobs.job import Job
from models.sandboxes.loss import find_loss
from models.sandboxes.sandbox import SandboxStatus


def close_sandbox(
    session: AsyncSession,
    job: Job,
    sandbox: Sandbox,
    status: SandboxStatus = SandboxStatus.killed,
    error: str | None = None,
) -> bool:
    """Mark a sandbox gone, with what was used of it, and tell its job; False when it was marked before."""
    if not sandbox.end(status, error):
        return False
    session.add(_build_usage_record(job, sandbox))
    if not job.is_over and status is SandboxStatus.killed:
        append_event(session, job, EventType.sandbox_killed, {"sandboxId": sandbox.id})
    return True


async def mark_sandbox_lost(session: AsyncSession, job: Job, sandbox: Sandbox, error: str) -> bool:
    """Mark a sandbox lost and tell its job what is lost with it; False when it was marked gone before."""
    if not close_sandbox(session, job, sandbox, SandboxStatus.error, error):
        return False
    if not job.is_over:
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
