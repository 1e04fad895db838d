"""What a job uses, frozen at its start: read once a process, as it never changes."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from kit.recent import Recent
from models import JobSnapshot
from models.job_snapshot import Snapshot

_KEPT: Final[Recent[str, Snapshot]] = Recent(seconds=600, most=200)


async def snapshot_of(session: AsyncSession, job_id: str) -> Snapshot:
    async def read() -> Snapshot:
        return Snapshot.model_validate((await session.get_one(JobSnapshot, job_id)).document)

    return await _KEPT.get(job_id, read)
