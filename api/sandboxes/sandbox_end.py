"""The end of a sandbox of one's own before its time, as whoever deletes one asks for it."""

from sqlmodel.ext.asyncio.session import AsyncSession

from api.after_commit import AfterCommit
from kit.errors import Conflict
from models import Sandbox, SandboxJob
from models.event import EventType, append_event
from models.jobs.job_lookup import get_job
from models.sandboxes.sandbox import SandboxStatus
from models.sandboxes.sandbox_job import SandboxJobStatus


async def end_sandbox(session: AsyncSession, workflows: AfterCommit, sandbox: Sandbox) -> None:
    """Let a sandbox of one's own be removed at the provider soon; one that is gone already is fine.

    Its job is closed at once, so that what does not reach the engine is made good by the sweep, which ends
    workflows and sandboxes whose job is over.  A live sandbox of another job is a Conflict: cancel that job.
    """
    job = await get_job(session, sandbox.job_id, lock=True)
    if not isinstance(job, SandboxJob):
        if sandbox.status not in (SandboxStatus.killed, SandboxStatus.error):
            raise Conflict(f"{job.id} is at work in the sandbox: cancel that first.")
        return
    was_taken = job.is_started
    if not job.close(SandboxJobStatus.cancelled):
        return
    append_event(session, job, EventType.sandbox_job_ended, {"status": job.status, "code": None})
    if not was_taken:
        sandbox.mark_ended()
    workflows.cancel(job.id, certain=False)
