"""The API killed around its commit, and clients that ask again and again."""

import asyncio
from uuid import uuid4

from sqlmodel import col

from models import Run
from tests.chaos.environment import SMALL, FaultEnvironment
from tests.chaos.fault import fault
from tests.support.outcomes import Severity

SEAMS = ["commit", "committed", "start", "started"]
"""Before and after the commit, and before and after the start that follows it."""
IDENTICAL = 100


@fault(
    "api-killed",
    "The API dies between its commit, the start and the answer; the client asks again with its key.",
)
async def api_killed(stage: FaultEnvironment) -> None:
    for seam in stage.spread(SEAMS):
        stage.site.set_trap(seam)
        await stage.accept()


@fault("start-lost", "The API dies after its commit and before the start, and nobody ever asks again.")
async def start_lost(stage: FaultEnvironment) -> None:
    for seam in stage.spread(["start", "started"]):
        stage.site.set_trap(seam)
        asking = asyncio.create_task(stage.accept())
        async with asyncio.timeout(stage.patience):
            while not stage.site.is_sprung(seam):
                await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        stage.site.forget_trap(seam)
    await stage.adopt()


@fault("identical-posts", f"{IDENTICAL} identical POSTs at once under one Idempotency-Key: one run.", tries=1)
async def identical_posts(stage: FaultEnvironment) -> None:
    for _ in range(stage.tries):
        key, body = uuid4().hex, await stage.request(SMALL)
        answers = await asyncio.gather(
            *(stage.ask("/api/v1/runs/start", body, key) for _ in range(IDENTICAL))
        )
        ids = {answer["id"] for answer in answers}
        if len(ids) != 1:
            stage.found(Severity.twice, f"{IDENTICAL} identical requests started {len(ids)} runs")
    await stage.adopt()
    runs = await stage.site.rows(Run, col(Run.project_id) == stage.project.id, col(Run.id))
    if len(runs) != stage.tries:
        stage.found(Severity.twice, f"{len(runs)} runs are there, and {stage.tries} were asked for")
