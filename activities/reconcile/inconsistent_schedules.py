"""Schedules in Temporal and the rows of recurring tasks, held against each other."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import or_, select
from sqlmodel import col
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.findings import Finding, Inconsistency, is_settled
from activities.schedules.temporal_schedule import sync_temporal_schedule
from kit.database import Database
from kit.ids import is_id
from kit.temporal import INSTALLATION
from models import RecurringTask
from models.base import now
from models.reconcile.installation import get_installation

OVERDUE_AFTER: Final = timedelta(minutes=1)
UPDATE_GRACE: Final = timedelta(seconds=5)
"""How long whoever changed a task may take to tell Temporal."""


class _Task(NamedTuple):
    next_run_at: datetime | None
    updated_at: datetime
    synced_at: datetime | None

    @property
    def is_outdated(self) -> bool:
        """Whether Temporal knows another rule than the row."""
        return self.synced_at != self.updated_at and is_settled(self.updated_at, UPDATE_GRACE)

    @property
    def is_overdue(self) -> bool:
        return self.next_run_at is None or self.next_run_at < now() - OVERDUE_AFTER


class InconsistentSchedules:
    """What comes of a repair depends on the rows alone, so repeating it is harmless."""

    kind = Inconsistency.schedule

    def __init__(self, database: Database, client: Client) -> None:
        self.database, self.client = database, client
        self.examined = 0

    async def find(self) -> AsyncIterator[Finding]:
        active, listed = await self._active(), await self._listed()
        self.examined = len(active.keys() | listed)
        for task_id in sorted(active.keys() | listed):
            task = active.get(task_id)
            if task is None:
                if await self._exists(task_id):
                    yield _finding(
                        task_id, "fires for a task that is deleted or switched off", "removes the schedule"
                    )
            elif task_id not in listed and not await self._exists(task_id):
                yield _finding(task_id, "is active, but has no schedule", "makes its schedule")
            elif task.is_outdated:
                yield _finding(task_id, "was changed, and its schedule was not", "tells it", task.updated_at)
            elif task.is_overdue:
                yield _finding(task_id, "missed its last firing", "has it look ahead again", task.next_run_at)

    async def list_outdated(self) -> list[str]:
        """The ids of tasks, active or not, whose schedule was not told their last change."""
        untold = or_(
            col(RecurringTask.told_at).is_(None), col(RecurringTask.told_at) != col(RecurringTask.updated_at)
        )
        statement = select(col(RecurringTask.id)).where(
            untold, col(RecurringTask.updated_at) < now() - UPDATE_GRACE
        )
        async with self.database.read_only() as session:
            return list((await session.execute(statement.order_by(col(RecurringTask.id)))).scalars())

    async def repair(self, finding: Finding) -> str | None:
        """Make the schedule what the row says; an overdue task looks ahead from now."""
        async with self.database.transaction() as session:
            task = await session.get(RecurringTask, finding.id, with_for_update=True)
            if task is not None and task.is_active and _task_times(task).is_overdue:
                task.change()
        await sync_temporal_schedule(self.database, self.client, finding.id)
        return "made anew" if task is not None and task.is_active else "removed"

    async def _active(self) -> dict[str, _Task]:
        async with self.database.read_only() as session:
            rows = (
                await session.execute(select(RecurringTask).where(col(RecurringTask.is_active)))
            ).scalars()
            return {task.id: _task_times(task) for task in rows}

    async def _listed(self) -> set[str]:
        """Ours only: another installation's tasks are none of our business."""
        async with self.database.read_only() as session:
            own = (await get_installation(session)).id
        return {
            entry.id
            async for entry in await self.client.list_schedules()
            if is_id(entry.id, "rt") and entry.typed_search_attributes.get(INSTALLATION) == own
        }

    async def _exists(self, task_id: str) -> bool:
        """Temporal lists what there is a little later."""
        try:
            await self.client.get_schedule_handle(task_id).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True


def _task_times(task: RecurringTask) -> _Task:
    return _Task(task.next_run_at, task.updated_at, task.told_at)


def _finding(task_id: str, what: str, repair: str, since: datetime | None = None) -> Finding:
    return Finding(
        kind=Inconsistency.schedule, id=task_id, what=f"This task {what}.", repair=repair, since=since
    )
