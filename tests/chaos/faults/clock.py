"""Clocks of hosts that are stepped."""

from tests.chaos.environment import FaultEnvironment
from tests.chaos.fault import fault
from tests.chaos.faults.workers import SLOW
from tests.support.fault_injection.clock import CLOCK_SHIFT

HOURS = 3_600


@fault("clock-ahead", "The workers' clocks are two hours ahead, and right again after they were replaced.")
async def clock_ahead(stage: FaultEnvironment) -> None:
    await stepped(stage, 2 * HOURS)


@fault("clock-behind", "The workers' clocks are two hours behind, and right again after they were replaced.")
async def clock_behind(stage: FaultEnvironment) -> None:
    await stepped(stage, -2 * HOURS)


async def stepped(stage: FaultEnvironment, seconds: int) -> None:
    stage.worker_environment[CLOCK_SHIFT] = str(seconds)
    await stage.kill_workers()
    await stage.accept_all(SLOW)
    await stage.wait(45)
    del stage.worker_environment[CLOCK_SHIFT]
    await stage.kill_workers()
