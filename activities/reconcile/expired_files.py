"""Uploaded files that no job uses, and whose time is over: removed with their bytes."""

from collections.abc import AsyncIterator
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from activities.reconcile.findings import GRACE, PAGE_SIZE, Finding, Inconsistency
from activities.runs.files import FileStore
from kit.database import Database
from kit.settings import Settings
from models import UploadedFile
from models.base import now


class ExpiredFiles:
    kind = Inconsistency.expired_file

    def __init__(self, database: Database, settings: Settings, grace: timedelta = GRACE) -> None:
        self.database, self.grace = database, grace
        self.examined = 0
        self.files = FileStore(database, settings)

    async def find(self) -> AsyncIterator[Finding]:
        statement = (
            select(col(UploadedFile.id), col(UploadedFile.expires_at))
            .where(col(UploadedFile.expires_at) <= now() - self.grace)
            .order_by(col(UploadedFile.expires_at))
            .limit(PAGE_SIZE)
        )
        async with self.database.read_only() as session:
            expired = (await session.execute(statement)).all()
        self.examined = len(expired)
        for file_id, since in expired:
            yield Finding(
                kind=self.kind,
                id=file_id,
                since=since,
                what="No run uses this uploaded file.",
                repair="removes it",
            )

    async def repair(self, finding: Finding) -> str | None:
        """Remove it, unless a run has taken it meanwhile: whoever takes one holds its row.

        Killed after its bytes were removed from a store, the next execution removes the row.
        """
        async with self.database.transaction() as session:
            file = await session.get(UploadedFile, finding.id, with_for_update=True)
            if file is None or file.expires_at is None or file.expires_at > now():
                return None
            await self.files.remove(session, file)
        return "removed"
