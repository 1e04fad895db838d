"""The rows of an object that is deleted for good: it, and what belongs to it and to nothing else."""

from sqlalchemy import delete, func, or_, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.agent.session import AgentSession, FollowUp, Message
from models.assets.asset import Asset
from models.blueprints.persona import Persona
from models.budgets.budget import Budget
from models.budgets.usage import UsageRecord, clear_usage_sources
from models.effect import Effect
from models.event import Event
from models.issues.issue import Issue
from models.issues.issue_session import IssueSession
from models.jobs.job import Job
from models.jobs.job_lookup import get_job
from models.jobs.snapshot import JobSnapshot
from models.learnings.extraction import LearningExtraction
from models.merging.merge_job import MergeJob
from models.notifications.notification import Notification
from models.projects.agent_config import AGENT_CONFIG_FIELDS
from models.projects.project import Project
from models.runs.run import Run
from models.runs.run_step import RunStep
from models.runs.uploaded_file import release_files
from models.sandboxes.sandbox import Sandbox
from models.sandboxes.sandbox_job import SandboxJob
from models.schedules.recurring_task import RecurringTask
from models.trash.trashable import Trashable


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


async def remove_row(session: AsyncSession, row: Trashable) -> None:
    """The row, with the rows that go with it by their foreign keys."""
    await session.delete(row)
    await session.flush()


async def remove_sandbox(session: AsyncSession, sandbox: Sandbox) -> None:
    """Its log and the conversations in it go with it; a job that works in it stays, and what it cost.

    The job of a sandbox of one's own is nothing without it.
    """
    job = await get_job(session, sandbox.job_id)
    if isinstance(job, SandboxJob):
        await remove_job(session, job)
        return
    messages = (
        select(col(Message.id))
        .join(AgentSession, col(AgentSession.id) == col(Message.session_id))
        .where(col(AgentSession.sandbox_id) == sandbox.id)
    )
    source = col(UsageRecord.source_id)
    await clear_usage_sources(session, or_(source == sandbox.id, source.in_(messages)))
    without = func.array_remove(col(RunStep.sandbox_ids), sandbox.id)
    steps = update(RunStep).where(col(RunStep.run_id) == sandbox.job_id)
    await session.execute(steps.values(sandbox_ids=without))
    await remove_row(session, sandbox)


async def remove_context(session: AsyncSession, context: Asset) -> None:
    """Its versions go with it; personas and configurations that had it have none from now on."""
    having = (col(Persona.project_id) == context.project_id) & (col(Persona.context_id) == context.id)
    await session.execute(update(Persona).where(having).values(context_id=None))
    project = await session.get_one(Project, context.project_id, with_for_update={"key_share": True})
    for name in AGENT_CONFIG_FIELDS:
        config = getattr(project, name)
        if config.get("contextId") == context.id:
            setattr(project, name, {**config, "contextId": None})
    await remove_row(session, context)
