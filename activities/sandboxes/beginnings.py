"""The beginning of a job's sandbox, on its row, in its log and in its job's."""

from temporalio.exceptions import ApplicationError

from activities.sandboxes.records import close_sandbox
from kit.database import Database
from models import Sandbox
from models.blueprints.blueprint import SandboxConfig
from models.event import EventType, append_event
from models.jobs.job_lookup import get_job
from models.sandboxes.sandbox import SandboxEventType, SandboxPurpose, get_live_sandbox, sandbox_event

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
        if job.is_over:
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
        if not sandbox.runs(provider_id):
            return
        session.add(sandbox_event(sandbox_id, SandboxEventType.sandbox_create, f"{provider_id} runs."))
        if not job.is_over:
            job.progress("The sandbox runs.")
            append_event(session, job, EventType.sandbox_running, {"sandboxId": sandbox_id})
