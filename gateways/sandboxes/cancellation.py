"""Waiting for something slow that may not hold up whoever is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")
CANCEL_TIMEOUT_SECONDS = 2.0


async def cancel_promptly(work: Coroutine[object, object, T]) -> T:
    """The result of `work`; when cancelled, cancel it and wait `CANCEL_TIMEOUT_SECONDS` at most."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT_SECONDS)
