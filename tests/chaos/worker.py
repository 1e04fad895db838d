"""The worker with traps: at a seam it kills itself, or waits, if a test has laid a file there.

`TRAPS` names a directory.  `SEAM.kill` in it makes the process end as by `kill -9` the first time it comes to
that seam, `SEAM.hold` makes it wait for `SEAM.released`; either becomes `SEAM.sprung`.  `SEAM@WORKFLOW_ID` is
a trap for one workflow only.  Without such files this is the worker as it is.
"""

import asyncio
import functools
import os
import signal
from collections.abc import Awaitable, Callable

from temporalio import activity

from gateways.agent import Agent
from gateways.github import GitHub
from gateways.github_pulls import PullRequests
from gateways.repository import Repository
from gateways.sandbox import SandboxHandle
from gateways.sandboxes import Sandboxes
from tests.chaos.traps import springs, trap

SECONDS_IN = 2
"""How many beats, about one a second, a turn or a tool call has had when a trap within it is sprung."""


async def seam(name: str) -> None:
    for laid in (trap(f"{name}@{activity.info().workflow_id}"), trap(name)):
        if springs(laid, "kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if springs(laid, "hold"):
            while not laid.with_name(f"{laid.name}.released").exists():
                await asyncio.sleep(0.02)


def trapped(owner: type, method: str, before: str, after: str, only: str = "") -> None:
    """Put a seam before and after a method; `only` where one of its arguments starts with these words."""
    original: Callable[..., Awaitable[object]] = getattr(owner, method)

    @functools.wraps(original)
    async def wrapped(*arguments: object, **named: object) -> object:
        if only and not any(isinstance(value, str) and value.startswith(only) for value in arguments):
            return await original(*arguments, **named)
        await seam(before)
        result = await original(*arguments, **named)
        await seam(after)
        return result

    setattr(owner, method, wrapped)


def trapped_within(owner: type, method: str, name: str) -> None:
    """Put a seam into a method at work, `SECONDS_IN` seconds after its begin."""
    original: Callable[..., Awaitable[object]] = getattr(owner, method)

    @functools.wraps(original)
    async def wrapped(*arguments: object, **named: object) -> object:
        async def later() -> None:
            await asyncio.sleep(SECONDS_IN)
            await seam(name)

        watching = asyncio.create_task(later())
        try:
            return await original(*arguments, **named)
        finally:
            watching.cancel()

    setattr(owner, method, wrapped)


def lay() -> None:
    trapped(Sandboxes, "ensure", "sandbox-wanted", "sandbox-made")
    trapped(Repository, "clone", "clone", "cloned")
    trapped_within(Agent, "turn", "within-a-turn")
    trapped(Agent, "turn", "turn", "answered")
    trapped_within(SandboxHandle, "tool", "within-a-tool-call")
    trapped(SandboxHandle, "tool", "tool-call", "called")
    trapped(Repository, "push", "push", "pushed", only="refs/heads/")
    trapped(GitHub, "ensure_pull_request", "pull-request", "pull-request-made")
    trapped(PullRequests, "merge", "merge", "merged")
    trapped(Sandboxes, "kill_all", "kill-sandbox", "sandbox-killed")
