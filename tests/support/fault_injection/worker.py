"""The worker with traps: at a seam it kills itself, or waits, if a test has laid a file there.

`TRAPS` names a directory.  `SEAM.kill` in it makes the process end as by `kill -9` the first time it comes to
that seam, `SEAM.hold` makes it wait for `SEAM.released`; either becomes `SEAM.sprung`.  `SEAM@WORKFLOW_ID` is
a trap for one workflow only.  Without such files this is the worker as it is.
"""

import asyncio
import functools
import os
import signal
from collections.abc import Awaitable, Callable, Mapping

from temporalio import activity

import activities.agent.turns
from activities.runs.lifecycle import RunActivities
from activities.webhooks.deliveries import WebhookDeliveryActivities
from gateways.anthropic.client import MessagesClient
from gateways.git.hidden_refs import HiddenRefs
from gateways.git.repository import Repository
from gateways.github.client import GitHub
from gateways.github.pull_requests import PullRequests
from gateways.sandboxes.control import SandboxProvider
from gateways.sandboxes.sandbox import SandboxHandle
from gateways.webhooks.sender import WebhookSender
from tests.support.fault_injection.traps import springs, trap

SECONDS_IN = 2
"""How many beats, about one a second, a turn or a tool call has had when a trap within it is sprung."""


async def seam(name: str) -> None:
    for laid in (trap(f"{name}@{activity.info().workflow_id}"), trap(name)):
        if springs(laid, "kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if springs(laid, "hold"):
            while not laid.with_name(f"{laid.name}.released").exists():
                await asyncio.sleep(0.02)


def trapped(owner: object, method: str, before: str, after: str, only: str = "") -> None:
    """Put a seam before and after a method; `only` where one of its arguments is of these words."""
    original: Callable[..., Awaitable[object]] = getattr(owner, method)

    @functools.wraps(original)
    async def wrapped(*arguments: object, **named: object) -> object:
        if not _is_meant(only, arguments):
            return await original(*arguments, **named)
        await seam(before)
        result = await original(*arguments, **named)
        await seam(after)
        return result

    setattr(owner, method, wrapped)


def _is_meant(only: str, arguments: tuple[object, ...]) -> bool:
    """Whether a string among the arguments, or among the values of a mapping, starts with these words."""
    mappings = [each for each in arguments if isinstance(each, Mapping)]
    values = [*arguments, *(value for mapping in mappings for value in mapping.values())]
    return not only or any(isinstance(value, str) and value.startswith(only) for value in values)


def trapped_within(owner: type, method: str, name: str, only: str = "") -> None:
    """Put a seam into a method at work, `SECONDS_IN` seconds after its begin."""
    original: Callable[..., Awaitable[object]] = getattr(owner, method)

    @functools.wraps(original)
    async def wrapped(*arguments: object, **named: object) -> object:
        async def later() -> None:
            if not _is_meant(only, arguments):
                return
            await asyncio.sleep(SECONDS_IN)
            await seam(name)

        watching = asyncio.create_task(later())
        try:
            return await original(*arguments, **named)
        finally:
            watching.cancel()

    setattr(owner, method, wrapped)


def lay() -> None:
    trapped(SandboxProvider, "ensure", "sandbox-wanted", "sandbox-made")
    trapped(Repository, "clone", "clone", "cloned")
    trapped_within(MessagesClient, "turn", "within-a-turn")
    trapped(MessagesClient, "turn", "turn", "answered")
    trapped(activities.agent.turns, "store_turn", "store-turn", "turn-stored")
    trapped_within(SandboxHandle, "tool", "within-a-tool-call")
    trapped(SandboxHandle, "tool", "tool-call", "called")
    trapped_within(SandboxHandle, "tool", "within-a-verification", only="command")
    trapped(SandboxHandle, "tool", "verify", "verified", only="command")
    trapped(SandboxProvider, "ensure", "fresh-wanted", "fresh-made", only="verification")
    trapped(SandboxProvider, "kill_all", "kill-fresh", "fresh-killed", only="s_")
    trapped(Repository, "push", "push", "pushed")
    trapped(RunActivities, "note", "note", "noted")
    trapped(GitHub, "ensure_pull_request", "pull-request", "pull-request-made")
    trapped(PullRequests, "merge", "merge", "merged")
    trapped(HiddenRefs, "delete", "delete-ref", "ref-deleted")
    trapped(SandboxProvider, "kill_all", "kill-sandbox", "sandbox-killed")
    trapped(WebhookDeliveryActivities, "_take", "webhook-take", "webhook-taken")
    trapped(WebhookSender, "send", "webhook", "webhook-sent")
