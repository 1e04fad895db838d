"""Removing a job for good, with all that belongs to it and to nothing else."""

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.agent_session import AgentSession
from models.effect import Effect
from models.event import Event
from models.issue import Issue
from models.issue_session import IssueSession
from models.job import Job
from models.job_snapshot import JobSnapshot
from models.sandbox import Sandbox


async def remove_job(session: AsyncSession, job: Job) -> None:
    """Its conversations, sandboxes, log and snapshot go with it; what it cost stays in the books."""
    for table, owner in (
        (AgentSession, AgentSession.job_id),
        (Sandbox, Sandbox.job_id),
        (JobSnapshot, JobSnapshot.job_id),
        (Event, Event.subject_id),
        (Effect, Effect.subject_id),
    ):
        await session.execute(delete(table).where(col(owner) == job.id))
    if isinstance(job, IssueSession):
        of_session = col(Issue.session_id) == job.id
        await session.execute(update(Issue).where(of_session).values(session_id=None))
    await session.delete(job)
