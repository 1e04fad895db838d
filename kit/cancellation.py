"""Work that a cancellation may not cut in half."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def spawn(work: Coroutine[object, object, T]) -> asyncio.Task[T]:
    """The work as a task of its own; dropped quietly where the loop takes none, as when a worker leaves."""
    try:
        return asyncio.create_task(work)
    except RuntimeError:
        work.close()
        raise


async def run_to_completion(work: Coroutine[object, object, T]) -> T:
    """Do the work to its end even when cancelled meanwhile; the cancellation is raised after it."""
    task = spawn(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
