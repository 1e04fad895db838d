"""What a job uses, frozen at its start: read once a process, as it never changes."""

from typing import Final, NamedTuple

from sqlalchemy import Text, cast, func, select
from sqlmodel import col

from kit.database import Database
from kit.ttl_cache import Recent
from models import JobSnapshot
from models.jobs.snapshot import Snapshot

_MAX_CHARS: Final = 50_000_000
"""Of all that a process remembers; one snapshot may have ten million."""


class _Read(NamedTuple):
    snapshot: Snapshot
    chars: int


_READ: Final[Recent[str, _Read]] = Recent(seconds=600, most=_MAX_CHARS, size=lambda read: read.chars)


async def snapshot_of(database: Database, job_id: str) -> Snapshot:
    async def read() -> _Read:
        document = col(JobSnapshot.document)
        statement = select(document, func.length(cast(document, Text))).where(
            col(JobSnapshot.job_id) == job_id
        )
        async with database.reading() as session:
            found, chars = (await session.execute(statement)).one()
        return _Read(Snapshot.model_validate(found), chars)

    return (await _READ.get(job_id, read)).snapshot
