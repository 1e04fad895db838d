"""What a job uses, frozen at its start: read once a process, as it never changes."""

from typing import Final, NamedTuple

from sqlalchemy import Text, cast, func, select
from sqlmodel import col

from kit.database import Database
from kit.ttl_cache import TTLCache
from models import JobSnapshot
from models.jobs.snapshot import Snapshot

_MAX_CHARS: Final = 50_000_000
"""Of all that a process remembers; one snapshot may have ten million."""


class _CachedSnapshot(NamedTuple):
    snapshot: Snapshot
    chars: int


_CACHE: Final[TTLCache[str, _CachedSnapshot]] = TTLCache(
    seconds=600, most=_MAX_CHARS, size=lambda read: read.chars
)


async def load_snapshot(database: Database, job_id: str) -> Snapshot:
    async def read() -> _CachedSnapshot:
        document = col(JobSnapshot.document)
        statement = select(document, func.length(cast(document, Text))).where(
            col(JobSnapshot.job_id) == job_id
        )
        async with database.read_only() as session:
            found, chars = (await session.execute(statement)).one()
        return _CachedSnapshot(Snapshot.model_validate(found), chars)

    return (await _CACHE.get(job_id, read)).snapshot
