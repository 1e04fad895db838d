"""Hidden refs: where jobs keep their checkpoints in a repository, out of everybody's sight."""

from collections.abc import Collection
from typing import Final

from gateways.git.cache import CloneCache
from gateways.git.remote import Remote

CHECKPOINT_PREFIX: Final = "refs/codecourier/checkpoints/"


def checkpoint_ref(job_id: str) -> str:
    """Where a job's work tree is kept."""
    return f"{CHECKPOINT_PREFIX}{job_id}"


class HiddenRefs:
    """Those of one repository.  Every method raises `gateways.errors`."""

    def __init__(self, cache: CloneCache, url: str, token: str) -> None:
        self._mirror, self._remote = cache.mirror(url), Remote(cache.git, url, token)

    async def list_names(self) -> set[str]:
        """The full names of all that there are, of whatever job of whatever installation."""
        async with self._mirror.lock_for_use():
            return await self._remote.list(CHECKPOINT_PREFIX, self._mirror.repository)

    async def delete(self, names: Collection[str]) -> int:
        """Delete them; those that are gone already are passed over.  How many there were."""
        if strange := [name for name in names if not name.startswith(CHECKPOINT_PREFIX)]:
            raise ValueError(f"{strange[0]} is none of our hidden refs")
        async with self._mirror.lock_for_use():
            return await self._remote.delete(sorted(names), self._mirror.repository)
