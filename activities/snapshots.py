"""What a job uses, frozen at its start: read once a process, as it never changes."""

from typing import Final

from kit.direct import Direct
from kit.recent import Recent
from models.job_snapshot import Snapshot

_READ: Final = "SELECT document FROM job_snapshot WHERE job_id = %(job)s"
_KEPT: Final[Recent[str, Snapshot]] = Recent(seconds=600, most=200)


async def snapshot_of(direct: Direct, job_id: str) -> Snapshot:
    async def read() -> Snapshot:
        [[document]] = await direct.fetch(_READ, {"job": job_id})
        return Snapshot.model_validate(document)

    return await _KEPT.get(job_id, read)
