"""Schedules in the engine and the rows of recurring tasks, held against each other."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.damage import Damage, Finding
from activities.task_schedules import keep_schedule
from kit.database import Database
from kit.ids import is_id
from models import RecurringTask
from models.base import now

OVERDUE = timedelta(minutes=1)


class StraySchedules:
    """What comes of a repair depends on the rows alone, so repeating it is harmless."""

    damage = Damage.schedule

    def __init__(self, database: Database, client: Client) -> None:
        self.database, self.client = database, client

    async def find(self) -> AsyncIterator[Finding]:
        active = await self._active()
        listed = {entry.id async for entry in await self.client.list_schedules() if is_id(entry.id, "rt")}
        for task_id in sorted(active.keys() | listed):
            if task_id not in active:
                if await self._is_there(task_id):
                    what = "This schedule fires for a task that is deleted or switched off."
                    yield Finding(damage=self.damage, id=task_id, what=what, cure="removes the schedule")
            elif task_id not in listed and not await self._is_there(task_id):
                what = "This task is active, but has no schedule."
                yield Finding(damage=self.damage, id=task_id, what=what, cure="makes its schedule")
            elif _is_overdue(active[task_id]):
                yield Finding(
                    damage=self.damage, id=task_id, since=active[task_id],
                    what="This task missed its last firing.", cure="has it look ahead again",
                )  # fmt: skip

    async def repair(self, finding: Finding) -> str | None:
        """Make the schedule what the row says; an overdue task looks ahead from now."""
        async with self.database.transaction() as session:
            task = await session.get(RecurringTask, finding.id, with_for_update=True)
            if task is not None and task.is_active and _is_overdue(task.next_run_at):
                task.change()
        await keep_schedule(self.database, self.client, finding.id)
        return "made anew" if task is not None and task.is_active else "removed"

    async def _active(self) -> dict[str, datetime | None]:
        async with self.database.reading() as session:
            statement = select(col(RecurringTask.id), col(RecurringTask.next_run_at)).where(
                col(RecurringTask.is_active)
            )
            return {row[0]: row[1] for row in (await session.execute(statement)).all()}

    async def _is_there(self, task_id: str) -> bool:
        """The engine lists what there is a little later."""
        try:
            await self.client.get_schedule_handle(task_id).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True


def _is_overdue(at: datetime | None) -> bool:
    return at is None or at < now() - OVERDUE
