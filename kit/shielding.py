"""Work that a cancellation may not cut in half."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def finish_first(work: Coroutine[object, object, T]) -> T:
    """Do the work to its end even when cancelled meanwhile; the cancellation is raised after it."""
    try:
        task = asyncio.create_task(work)
    except RuntimeError:  # the loop is going down, as a workflow's does when it leaves the worker's memory
        work.close()
        raise
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
