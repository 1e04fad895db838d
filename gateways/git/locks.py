"""Locks between processes: a file that is held while something is used, and let go with its process."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

FIRST_PAUSE, MAX_PAUSE = 0.02, 0.5
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


@asynccontextmanager
async def acquire(path: Path, *, shared: bool = False) -> AsyncIterator[None]:
    """Hold the lock, alone or with others who share it; waits for as long as it takes."""
    descriptor, pause = os.open(path, _FLAGS, 0o600), FIRST_PAUSE
    try:
        while not _try_lock(descriptor, shared):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, MAX_PAUSE)
        yield
    finally:
        os.close(descriptor)


@asynccontextmanager
async def acquire_if_free(path: Path) -> AsyncIterator[bool]:
    """Hold the lock alone; False when somebody else holds it."""
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        yield _try_lock(descriptor, shared=False)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
