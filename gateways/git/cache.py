"""The mirrors of one host: every worker on it shares them, and the ones that were not used for longest go."""

import asyncio
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateways.git.locks import acquire_if_free
from gateways.git.mirror import Mirror
from gateways.git.process import Git, GitUnusable
from kit.logs import logger

log = logger(__name__)

DIRECTORY_NAME: Final = "codecourier-git"
STALE_AFTER_SECONDS: Final = 6 * 3_600
FREED_SHARE: Final = 0.25
"""Of what all mirrors may have together: so much room is made on a disk that is full."""


class CloneCache:
    """The mirrors in one directory, of at most so many bytes together."""

    def __init__(self, git: Git, directory: Path | None, max_bytes: int) -> None:
        """directory: None for one of the user's own beside the system's other temporary files.

        Raises `GitUnusable` when the directory cannot be used safely.
        """
        self.git, self._max_bytes = git, max_bytes
        self.directory = directory or Path(tempfile.gettempdir()) / f"{DIRECTORY_NAME}-{os.geteuid()}"
        self._locks = self.directory / "locks"
        self._prepare()

    def mirror(self, url: str) -> Mirror:
        key = hashlib.sha256(url.encode()).hexdigest()[:32]
        return Mirror(self.git, self.directory / key, self._locks)

    async def evict_to_fit(self) -> None:
        """Remove mirrors until the rest fits."""
        mirrors = await asyncio.to_thread(self._sizes)
        await self._evict(mirrors, sum(size for _, _, size in mirrors) - self._max_bytes)

    async def free_disk(self) -> None:
        """Remove mirrors from a disk that is full: at least one, if any may go."""
        mirrors = await asyncio.to_thread(self._sizes)
        free = shutil.disk_usage(self.directory).free
        await self._evict(mirrors, max(1, int(self._max_bytes * FREED_SHARE) - free))

    async def _evict(self, mirrors: Sequence[tuple[float, Path, int]], excess: int) -> None:
        """Remove so many bytes of mirrors that nobody uses at the moment, the oldest first."""
        for _, path, size in sorted(mirrors):
            if excess <= 0:
                return
            mirror = Mirror(self.git, path, self._locks)
            async with (
                acquire_if_free(mirror.use_lock) as unused,
                acquire_if_free(mirror.change_lock) as unchanged,
            ):
                if unused and unchanged:
                    await asyncio.to_thread(mirror.discard)
                    excess -= size
                    log.info("git.mirror_evicted", bytes=size)

    def _sizes(self) -> list[tuple[float, Path, int]]:
        """Of each mirror: when it was used last, where it is, and its bytes on the disk."""
        found = []
        for path in self.directory.iterdir():
            if path.name.startswith("doomed-"):  # its remover was killed
                shutil.rmtree(path, ignore_errors=True)
            elif (path / "used").exists():
                self._remove_leftovers(path)
                files = {
                    (facts.st_dev, facts.st_ino): facts.st_size
                    for root, _, names in os.walk(path)
                    for name in names
                    if (facts := _stat(Path(root, name))) is not None
                }
                found.append(((path / "used").stat().st_mtime, path, sum(files.values())))
        return found

    def _remove_leftovers(self, mirror: Path) -> None:
        """What workers that were killed left half done; nothing that is at work is as old."""
        for pattern in ("sending-*", "quarantine-*", "repository/objects/pack/tmp_*"):
            for path in mirror.glob(pattern):
                facts = _stat(path)
                if facts is None or time.time() - facts.st_mtime <= STALE_AFTER_SECONDS:
                    continue
                if stat.S_ISDIR(facts.st_mode):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _prepare(self) -> None:
        uid = self.git.isolation.uid
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = self.directory.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
            raise GitUnusable(
                f"{self.directory} is not this user's own: set GIT_CACHE_DIR to a directory that is."
            )
        self.directory.chmod(0o700 if uid is None else 0o711)
        self._locks.mkdir(mode=0o700, exist_ok=True)
        if uid is not None:
            entered = [*self.git.isolation.prefix, "test", "-x", str(self.directory)]
            if subprocess.run(entered, check=False).returncode != 0:
                raise GitUnusable(
                    f"The user {uid}, as whom git runs, cannot enter {self.directory}: set GIT_CACHE_DIR to "
                    "a directory that every user may pass through."
                )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
