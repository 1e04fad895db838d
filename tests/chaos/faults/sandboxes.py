"""Sandboxes that are gone, paused, damaged or slow to die, at every kind of call."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable

from tests.chaos.environment import Expected, FaultEnvironment
from tests.chaos.fault import fault
from tests.chaos.network_links import response
from tests.support.scenarios import Turn, bash, finish, register_scenario, with_delay

CALLS = ["clone", "cloned", "turn", "answered", "tool-call", "within-a-tool-call", "called", "push", "pushed"]
"""Where a worker is held while something happens to the sandbox."""


def look_and_write(seconds: float) -> Turn:
    """What a careful agent does, again and again: it looks before it goes on."""
    return with_delay(bash(f"sleep {seconds:g}; test -f once.txt || echo once > once.txt"), seconds)


CAREFUL = register_scenario(
    "carefully", *[look_and_write(3)] * 3, finish("Wrote once.txt, and looked again.")
)
CALL_PATIENCE = 30.0
"""Seconds in which a run comes to a call, unless every run is past it."""
Harming = Callable[[FaultEnvironment, str], Awaitable[None]]


async def harmed_at_calls(stage: FaultEnvironment, harm: Harming) -> None:
    """Hold a worker at a call, harm every sandbox there is, and let it go on; once for each try."""
    jobs = asyncio.create_task(stage.accept_all(CAREFUL, effect={"once.txt": "once\n"}))
    harmed = 0
    for seam in stage.spread(CALLS):
        stage.site.set_trap(seam, "hold")
        try:
            await stage.site.sprung(seam, patience=CALL_PATIENCE)
            for box in await stage.site.sandboxes.find({}):
                await harm(stage, box.id)
                harmed += 1
        except AssertionError:
            stage.site.forget_trap(seam)  # every run is past it by now
        stage.site.release(seam)
    await jobs
    assert harmed, "no run came to any of the calls"


@fault("sandbox-gone", "The sandbox is killed by others, at every kind of call.", expected=Expected.honest)
async def sandbox_gone(stage: FaultEnvironment) -> None:
    async def kill(stage: FaultEnvironment, box: str) -> None:
        await stage.site.sandboxes.kill(box)

    await harmed_at_calls(stage, kill)


@fault("sandbox-paused", "The sandbox is paused by others, at every kind of call.")
async def sandbox_paused(stage: FaultEnvironment) -> None:
    async def pause(stage: FaultEnvironment, box: str) -> None:
        await stage.site.sandboxes.pause(box)

    await harmed_at_calls(stage, pause)


@fault(
    "sandbox-partial",
    "The sandbox is paused and comes back without a part of its files.",
    expected=Expected.honest,
)
async def sandbox_partial(stage: FaultEnvironment) -> None:
    async def damage(stage: FaultEnvironment, box: str) -> None:
        await stage.site.sandboxes.pause(box)
        home = stage.site.parts.sandbox_data / "sandboxes" / box / "home"
        shutil.rmtree(home / "repo" / ".git" / "objects", ignore_errors=True)

    await harmed_at_calls(stage, damage)


@fault("sandbox-slow-to-die", "The fleet says that it failed to kill a sandbox, again and again.")
async def sandbox_slow_to_die(stage: FaultEnvironment) -> None:
    fleet = stage.link("worker", "sandboxes")
    fleet.refuse(rb"DELETE (/v2)?/sandboxes/", response(500), times=2 * stage.tries)
    fleet.lose_answer(rb"DELETE (/v2)?/sandboxes/", times=stage.tries)
    await stage.accept_all()
    await stage.settled()


@fault("sandbox-refused", "The fleet has no place for another sandbox for a while: 429, and 503.")
async def sandbox_refused(stage: FaultEnvironment) -> None:
    fleet = stage.link("worker", "sandboxes")
    fleet.refuse(rb"POST (/v2)?/sandboxes ", response(429, headers="Retry-After: 1\r\n"), times=stage.tries)
    fleet.refuse(rb"POST (/v2)?/sandboxes ", response(503), times=2 * stage.tries)
    await stage.accept_all()
    await stage.settled()
