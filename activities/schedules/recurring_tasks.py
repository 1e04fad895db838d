"""Recurring tasks: what a firing does."""

from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.client import Client

from activities.jobs.launch import start_row
from activities.schedules.temporal_schedule import sync_temporal_schedule
from gateways.github.client import parse_repository
from kit.database import Database
from kit.errors import AppError, Conflict, Invalid
from kit.logs import logger
from kit.schemas import format_timestamp
from kit.settings import Settings
from models import Project, RecurringTask, Run
from models.base import JsonObject
from models.event import EventType, append_event, has_event
from models.notifications.notification import NotificationType, notify_members
from models.runs.run import RunSource
from models.runs.run_start import RunStart, create_run

log = logger(__name__)


class Firing(BaseModel):
    task_id: str
    occurrence: datetime
    """The time that the schedule meant, which is part of the run's unique key."""


class RecurringTaskActivities:
    def __init__(self, database: Database, settings: Settings, client: Client) -> None:
        self.database, self.settings, self.client = database, settings, client

    @activity.defn(name="fire")
    async def start_due_run(self, firing: Firing) -> str | None:
        """Start the run of a firing; its id, or None when none was started.

        Killed before the run was committed, it is made again; killed after, the run is found by its unique
        key, and starting its workflow once more changes nothing.
        """
        async with self.database.transaction() as session:
            task = await session.get(RecurringTask, firing.task_id, with_for_update=True)
            run = None
            if task is not None and task.is_active:
                run = await self._get_or_create_run(session, task, firing.occurrence)
        if run is not None:
            await start_row(self.client, run)
        await sync_temporal_schedule(self.database, self.client, firing.task_id)
        return run.id if run else None

    async def _get_or_create_run(
        self, session: AsyncSession, task: RecurringTask, occurrence: datetime
    ) -> Run | None:
        key = task.unique_key(occurrence)
        statement = select(Run).where(col(Run.unique_key) == key)
        run: Run | None = (await session.execute(statement)).scalar_one_or_none()
        if run is not None:
            return run
        if not task.is_due_at(occurrence):
            await _skip_firing(session, task, occurrence)
            return None
        before = await session.get(Run, task.last_run_id) if task.last_run_id else None
        try:
            if before is not None and not before.status.is_final:
                raise Conflict(f"Run {before.run_number} of this task is still {before.status}.")
            run = await create_task_run(session, task, self.settings, occurrence, key)
            run.temporal_namespace = self.client.namespace
        except AppError as refused:
            if refused.retryable:
                raise
            await _record_failed_firing(session, task, occurrence, refused.message)
            return None
        task.record_firing(occurrence, run.id)
        append_event(session, task, EventType.task_fired, {"runId": run.id})
        return run


async def create_task_run(
    session: AsyncSession, task: RecurringTask, settings: Settings, occurrence: datetime, key: str | None
) -> Run:
    """A pending run of the task; Conflict, Invalid or NotFound when it cannot be."""
    project = await session.get_one(Project, task.project_id)
    if project.github_repo_url is None:
        raise Conflict("The project has no repository: set one with POST /api/v1/project/update.")
    try:
        slug = parse_repository(project.github_repo_url, settings.github_url)
    except ValueError as error:
        raise Invalid(f"The project's repository: {error}") from None
    run = await create_run(
        session,
        project_id=task.project_id,
        request=RunStart(workflow_id=task.target_workflow_id, prompt=task.prompt, name=task.title),
        repository_slug=slug,
        repository_url=project.github_repo_url,
        default_model=settings.default_model,
        source=RunSource.scheduled,
        unique_key=key,
    )
    run.recurring_task_id, run.scheduled_for = task.id, occurrence
    run.timezone, run.recurrence_pattern = task.timezone, task.frequency
    return run


async def _skip_firing(session: AsyncSession, task: RecurringTask, occurrence: datetime) -> None:
    """A moment of a rule that was changed, which Temporal had not heard of: written down, once."""
    moment: JsonObject = {"scheduledFor": format_timestamp(occurrence)}
    if await has_event(session, task.id, EventType.task_not_fired, moment):
        return
    log.warning("recurring_task.firing_skipped", task_id=task.id, scheduled_for=format_timestamp(occurrence))
    reason = "The task was changed: this moment is none of its rule's any more."
    append_event(session, task, EventType.task_not_fired, {**moment, "reason": reason})


async def _record_failed_firing(
    session: AsyncSession, task: RecurringTask, occurrence: datetime, reason: str
) -> None:
    """A firing that starts no run says so on the task, in its log and to the members."""
    task.record_firing(occurrence, None, reason)
    data: JsonObject = {"reason": reason}
    event = append_event(session, task, EventType.task_not_fired, data)
    title = f"The recurring task “{task.title}” started no run"
    subject: JsonObject = {"recurringTaskId": task.id}
    await notify_members(session, event, NotificationType.run_failed, title, reason, subject)
