"""The baseline of a run's own overhead: a workflow of activities that only wait, with the SDK's defaults."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client


class Waiting:
    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        """Seconds waited, by workflow."""

    @activity.defn
    async def wait(self, seconds: float) -> None:
        """Wait as a run's activity waits for somebody else."""
        started = time.perf_counter()
        if seconds:
            await asyncio.sleep(seconds)
        self.spent[activity.info().workflow_id or ""] += time.perf_counter() - started


@workflow.defn
class Bare:
    @workflow.run
    async def run(self, waits: list[float]) -> None:
        for seconds in waits:
            await workflow.execute_activity_method(
                Waiting.wait, seconds, start_to_close_timeout=timedelta(seconds=300)
            )


async def bare(client: Client, queue: str, waiting: Waiting, plays: Sequence[Sequence[float]]) -> list[float]:
    """The overhead in seconds of bare workflows that are started together, one for each list of waits."""

    async def one(number: int, waits: Sequence[float]) -> float:
        started = time.perf_counter()
        name = f"bare-{time.time_ns()}-{number}"
        await client.execute_workflow(Bare.run, [*waits], id=name, task_queue=queue)
        return time.perf_counter() - started - waiting.spent[name]

    return list(await asyncio.gather(*(one(number, waits) for number, waits in enumerate(plays))))
