"""Removing a job for good, with all that belongs to it and to nothing else."""

from sqlalchemy import delete, or_, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.agent.session import AgentSession, FollowUp, Message
from models.budgets.budget import Budget
from models.budgets.usage import UsageRecord, clear_usage_sources
from models.effect import Effect
from models.event import Event
from models.issues.issue import Issue
from models.issues.issue_session import IssueSession
from models.jobs.job import Job
from models.jobs.snapshot import JobSnapshot
from models.learnings.extraction import LearningExtraction
from models.merging.merge_job import MergeJob
from models.notifications.notification import Notification
from models.runs.run import Run
from models.runs.uploaded_file import release_files
from models.sandboxes.sandbox import Sandbox
from models.schedules.recurring_task import RecurringTask


async def remove_job(session: AsyncSession, job: Job) -> None:
    """Its steps, conversations, sandboxes, log, notifications and snapshot go with it.

    What it cost stays in the books, without saying what it was spent on.  Issues stay too.
    """
    await _clear_usage_sources(session, job)
    if isinstance(job, IssueSession):
        of_session = col(Issue.session_id) == job.id
        await session.execute(update(Issue).where(of_session).values(session_id=None))
    if isinstance(job, Run):
        await _detach_run(session, job)
    of_job = select(col(Event.id)).where(col(Event.subject_id) == job.id)
    await session.execute(delete(Notification).where(col(Notification.event_id).in_(of_job)))
    for table, owner in (
        (AgentSession, AgentSession.job_id),
        (Sandbox, Sandbox.job_id),
        (JobSnapshot, JobSnapshot.job_id),
        (Budget, Budget.id),
        (FollowUp, FollowUp.job_id),
        (Event, Event.subject_id),
        (Effect, Effect.subject_id),
    ):
        await session.execute(delete(table).where(col(owner) == job.id))
    await release_files(session, job.id)
    await session.delete(job)
    await session.flush()


async def _detach_run(session: AsyncSession, run: Run) -> None:
    """Issues and a recurring task go on without it; its merges and what read its transcript do not."""
    await session.execute(update(Issue).where(col(Issue.run_id) == run.id).values(run_id=None))
    if run.recurring_task_id is not None:
        last = (col(RecurringTask.id) == run.recurring_task_id) & (col(RecurringTask.last_run_id) == run.id)
        await session.execute(update(RecurringTask).where(last).values(last_run_id=None))
    for table in (MergeJob, LearningExtraction):
        of_run = select(table).where(col(table.run_id) == run.id)
        for other in (await session.execute(of_run)).scalars().all():
            await remove_job(session, other)


async def _clear_usage_sources(session: AsyncSession, job: Job) -> None:
    boxes = select(col(Sandbox.id)).where(col(Sandbox.job_id) == job.id)
    messages = (
        select(col(Message.id))
        .join(AgentSession, col(AgentSession.id) == col(Message.session_id))
        .where(col(AgentSession.job_id) == job.id)
    )
    sources = col(UsageRecord.source_id)
    of_job = or_(sources.in_(boxes), sources.in_(messages))
    used = (col(UsageRecord.run_id), col(UsageRecord.issue_session_id))  # also when the messages are pruned
    for condition in (of_job, *(column == job.id for column in used)):
        await clear_usage_sources(session, condition)
