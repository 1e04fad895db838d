"""The trash kept: what has expired is deleted for good, and what was deleted for good is being deleted."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import select, tuple_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from activities.trash.launch import Deletion, start_deletion, start_project_deletion
from kit.database import Database
from kit.errors import AppError
from kit.logs import logger
from kit.settings import Settings
from models import Project
from models.base import now
from models.idempotency import RETENTION as IDEMPOTENCY_RETENTION
from models.idempotency import prune_idempotency_records
from models.trash import moves
from models.trash.kinds import TRASH_KINDS, TrashKind
from models.trash.retention import prune_events, prune_messages, prune_notifications, prune_tool_calls
from models.trash.trashable import Trashable
from models.webhooks.delivery import RETENTION as DELIVERY_RETENTION
from models.webhooks.delivery import prune_deliveries

GRACE: Final = timedelta(seconds=5)
"""What was deleted less long ago may still be started by the API that deleted it."""
MAX_PAGE_ROWS: Final = 500
PRUNE_BATCH_ROWS: Final = 1_000
"""Rows that one transaction deletes."""
Prune = Callable[[AsyncSession, datetime, int], Awaitable[int]]
"""Deletes some of the oldest rows of before a moment, so many at most; how many it found."""

log = logger(__name__)


class _Cursor(NamedTuple):
    project_id: str
    deleted_at: datetime
    id: str


class TrashRetention:
    def __init__(self, database: Database, client: Client, settings: Settings) -> None:
        self.database, self.client = database, client
        self.retention = timedelta(days=settings.trash_retention_days)
        self.pruned: list[tuple[Prune, timedelta | None]] = [
            (prune_deliveries, DELIVERY_RETENTION),
            (prune_idempotency_records, IDEMPOTENCY_RETENTION),
            (prune_notifications, _days(settings.event_retention_days)),
            (prune_events, _days(settings.event_retention_days)),
            (prune_messages, _days(settings.transcript_retention_days)),
            (prune_tool_calls, _days(settings.transcript_retention_days)),
        ]
        """What is deleted at which age; None: never."""

    @activity.defn
    async def purge_expired(self) -> int:
        """Delete for good what has been in the trash for too long; how much.

        Afterwards old deliveries, answers to idempotent requests, events and transcripts go, too.

        Each in a transaction of its own: killed in between and repeated, it goes on with the next one.  What
        something at work needs, or cannot be deleted for another reason, waits for the next time.
        """
        purged = sum([await self._purge_expired(kind) for kind in TRASH_KINDS.values()])
        for prune, age in self.pruned:
            if age is not None:
                await self._prune(prune, age)
        return purged

    async def _prune(self, prune: Prune, age: timedelta) -> None:
        deleted = PRUNE_BATCH_ROWS
        while deleted == PRUNE_BATCH_ROWS:
            async with self.database.transaction() as session:
                deleted = await prune(session, now() - age, PRUNE_BATCH_ROWS)

    async def _purge_expired(self, kind: TrashKind[Any]) -> int:
        done = 0
        page = await self._expired(kind, None)
        while page:
            for each in page:
                try:
                    done += await self._purge(kind, each.id)
                except AppError as refused:
                    log.warning("trash.left", type=kind.entity, id=each.id, reason=refused.message)
            page = await self._expired(kind, page[-1])
        return done

    async def _purge(self, kind: TrashKind[Any], id: str) -> bool:
        """False when it is not in the trash any more, or somebody is about to change that."""
        async with self.database.transaction() as session:
            row = await session.get(kind.table, id, with_for_update={"skip_locked": True})
            if row is None or row.purged_at is not None or not self._has_expired(row):
                return False
            await moves.purge(session, kind, row)
        log.info("trash.expired", type=kind.entity, id=id)
        return True

    def _has_expired(self, row: Trashable) -> bool:
        return row.deleted_at is not None and row.deleted_at < now() - self.retention

    async def _expired(self, kind: TrashKind[Any], after: _Cursor | None) -> list[_Cursor]:
        """The next of them in the order of the index of trash; the project's id comes first in it."""
        table = kind.table
        columns = [col(table.project_id), col(table.deleted_at), col(table.id)]
        statement = (
            select(*columns)
            .where(col(table.deleted_at) < now() - self.retention, col(table.purged_at).is_(None))
            .where(col(table.id).startswith(f"{kind.prefix}_", autoescape=True))
            .order_by(*columns)
            .limit(MAX_PAGE_ROWS)
        )
        if after is not None:
            statement = statement.where(tuple_(*columns) > tuple_(*after))
        async with self.database.read_only() as session:
            return [_Cursor(*row) for row in (await session.execute(statement)).all()]

    @activity.defn
    async def start_deletions(self) -> int:
        """Have a workflow for everything that was deleted for good and is still there; how much there is.

        Starting one that is at work changes nothing.
        """
        async with self.database.read_only() as session:
            projects = await _deleted_projects(session)
            rows = [row for kind in TRASH_KINDS.values() for row in await _purged(session, kind)]
        for project_id in projects:
            await self._start(project_id, None)
        for row in rows:
            if row.project_id not in projects:
                await self._start(row.id, Deletion.of(row))
        return len(projects) + len(rows)

    async def _start(self, id: str, deletion: Deletion | None) -> None:
        try:
            if deletion is None:
                await start_project_deletion(self.client, id)
            else:
                await start_deletion(self.client, deletion)
        except RPCError as error:
            log.warning("trash.start_deferred", id=id, reason=error.message)


async def _deleted_projects(session: AsyncSession) -> list[str]:
    statement = select(col(Project.id)).where(col(Project.deleted_at) < now() - GRACE)
    return list((await session.execute(statement)).scalars())


async def _purged(session: AsyncSession, kind: TrashKind[Any]) -> list[Trashable]:
    table = kind.table
    statement = select(table).where(col(table.purged_at) < now() - GRACE).order_by(col(table.purged_at))
    return list((await session.execute(statement.limit(MAX_PAGE_ROWS))).scalars())


def _days(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)
