"""How long tests wait for what must happen."""

import asyncio
from collections.abc import Callable
from typing import Final

TEST_TIMEOUT_SECONDS: Final = 300.0
"""Seconds until a test gives up.  No test is about speed, and a busy machine is slow: this only ends the
wait for what never happens."""


async def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what another task does soon; TimeoutError after PATIENCE."""
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)
