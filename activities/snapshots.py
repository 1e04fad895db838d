"""What a run uses, frozen at its start: read once a process, as it never changes."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from kit.recent import Recent
from models import RunSnapshotRow
from models.run_snapshot import RunSnapshot

_KEPT: Final[Recent[str, RunSnapshot]] = Recent(seconds=600, most=200)


async def snapshot_of(session: AsyncSession, run_id: str) -> RunSnapshot:
    async def read() -> RunSnapshot:
        return RunSnapshot.model_validate((await session.get_one(RunSnapshotRow, run_id)).document)

    return await _KEPT.get(run_id, read)
