"""The baseline of a run's own overhead: a workflow of activities that do nothing, with the SDK's defaults."""

import asyncio
import time
from collections import deque
from datetime import timedelta

from temporalio import activity, workflow

WAITS: deque[float] = deque()
"""Seconds that the next activities wait; an argument would make them more than bare."""
WAITED: list[float] = []
"""Seconds that they did wait."""


@activity.defn
async def nothing() -> None:
    """An activity that only is one."""
    if WAITS:
        began = time.perf_counter()
        await asyncio.sleep(WAITS.popleft())
        WAITED.append(time.perf_counter() - began)


@workflow.defn
class Bare:
    @workflow.run
    async def run(self, activities: int) -> None:
        for _ in range(activities):
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=30))
