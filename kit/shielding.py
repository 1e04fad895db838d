"""Work that a cancellation may not cut in half."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def finish_first(work: Coroutine[object, object, T]) -> T:
    """Do the work to its end even when cancelled meanwhile; the cancellation is raised after it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
