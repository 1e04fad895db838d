"""Waiting for something slow while telling, about every second, that we still wait."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")
Beat = Callable[[], None]


async def beating(work: Coroutine[object, object, T], beat: Beat | None) -> T:
    """Wait for `work` and call `beat` about every second; when cancelled, cancel it and return at once."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=1.0))[0]:
            if beat is not None:
                beat()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=2.0)
