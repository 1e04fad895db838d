"""Workers that are killed, told to leave, frozen and woken."""

import asyncio
import signal

from models.event import EventType
from tests.chaos.environment import SMALL, Accepted, FaultEnvironment
from tests.chaos.fault import fault
from tests.support.scenarios import bash, finish, register_scenario, with_delay

SEAMS = [
    "sandbox-wanted",
    "sandbox-made",
    "clone",
    "cloned",
    "turn",
    "within-a-turn",
    "answered",
    "turn-stored",
    "tool-call",
    "within-a-tool-call",
    "called",
    "push",
    "pushed",
    "pull-request",
    "pull-request-made",
    "kill-sandbox",
    "sandbox-killed",
]
"""Before, within and after every effect outside; `tests.support.fault_injection.worker` lays them."""
SLOW = register_scenario(
    "slowly", with_delay(bash("sleep 4; echo once >> once.txt"), 4), finish("Wrote once.txt, slowly.")
)
"""Long enough within a turn and within a tool call for something to happen there."""
HEARTBEAT = 12.0
"""Seconds after which Temporal gives what a silent worker had to another one."""
EVERY_MINUTE = 60.0


@fault("worker-killed", "kill -9 of a worker at every seam: before, within and after each effect.", tries=6)
async def worker_killed(stage: FaultEnvironment) -> None:
    async with asyncio.TaskGroup() as group:
        for seam in stage.spread(SEAMS):
            group.create_task(killed_at(stage, seam))


async def killed_at(stage: FaultEnvironment, seam: str) -> Accepted:
    """A run whose worker dies when it comes to the seam, once."""
    job = await stage.accept(SLOW)
    stage.site.set_trap(f"{seam}@{job.run.id}")
    return job


@fault(
    "workers-killed-again",
    "kill -9 of all workers at once, every minute, under load.",
    tries=25,
    workers=2,
    repeated=True,
)
async def workers_killed_again(stage: FaultEnvironment) -> None:
    killing = asyncio.create_task(kill_again_and_again(stage))
    try:
        gate = asyncio.Semaphore(8)

        async def one() -> None:
            async with gate:
                await stage.ended(await stage.accept())

        async with asyncio.TaskGroup() as group:
            for _ in range(stage.tries):
                group.create_task(one())
    finally:
        killing.cancel()


async def kill_again_and_again(stage: FaultEnvironment) -> None:
    while True:
        await stage.wait(stage.chance.uniform(0.5, 1.5) * EVERY_MINUTE)
        await stage.kill_workers()


@fault("workers-told-to-leave", "SIGTERM to one worker after the other under load, as in a deploy.", tries=6)
async def workers_told_to_leave(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    for _ in range(2):
        for worker in stage.workers:
            await stage.wait(stage.chance.uniform(2, 12))
            await worker.stop(patience=60)


@fault("worker-frozen", "A worker stands still (SIGSTOP) beyond its heartbeats, others go on, and it wakes.")
async def worker_frozen(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    await stage.site.until(stage.accepted[0].run, EventType.sandbox_running, patience=stage.patience)
    frozen = stage.workers[0]
    frozen.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(HEARTBEAT + stage.chance.uniform(0, 10))
    finally:
        frozen.send(signal.SIGCONT)


@fault("worker-frozen-shortly", "Every worker stands still for less than a heartbeat, again and again.")
async def worker_frozen_shortly(stage: FaultEnvironment) -> None:
    await stage.accept_all(SMALL)
    for _ in range(4):
        await stage.wait(4)
        frozen = stage.workers
        for worker in frozen:
            worker.send(signal.SIGSTOP)
        await asyncio.sleep(stage.chance.uniform(1, 6))
        for worker in frozen:
            worker.send(signal.SIGCONT)
