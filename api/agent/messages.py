"""Messages of clients to the agents of live jobs."""

from functools import partial

from sqlmodel.ext.asyncio.session import AsyncSession

from api.after_commit import AfterCommit
from api.state import UnitOfWork
from kit.ids import new_id
from models import FollowUp
from models.jobs.job import Job
from models.jobs.job_lookup import get_job


async def queue_message(unit: UnitOfWork, workflows: AfterCommit, job: Job, content: str) -> FollowUp:
    """Keep a message and tell the job's workflow after the commit; it is taken back if that does not take it.

    A retry under the same `Idempotency-Key` finds what the first request kept, and tells of the same message.
    """
    id = unit.claim.derive_id("msg", job.id) if unit.claim else new_id("msg")  # noqa: A001
    message = await unit.session.get(FollowUp, id)
    if message is None:
        message = FollowUp(id=id, project_id=job.project_id, job_id=job.id, content=content)
        unit.session.add(message)
    if message.is_queued:
        workflows.update(job.id, "follow_up", id, update_id=id, undo=partial(_take_back, job.id, id))
    return message


async def _take_back(job_id: str, id: str, session: AsyncSession) -> bool:
    """Delete a message that its job does not take; False for one that the agent was told: it was sent."""
    await get_job(session, job_id, lock=True)  # as whoever tells it holds it, too
    message = await session.get(FollowUp, id)
    if message is not None and not message.is_queued:
        return False
    if message is not None:
        await session.delete(message)
    return True
