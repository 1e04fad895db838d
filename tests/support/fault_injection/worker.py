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
from tests.support.fault_injection.traps import spring_trap, trap_path

SECONDS_IN = 2
"""How many beats, about one a second, a turn or a tool call has had when a trap within it is sprung."""


async def pass_seam(name: str) -> None:
    for laid in (trap_path(f"{name}@{activity.info().workflow_id}"), trap_path(name)):
        if spring_trap(laid, "kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if spring_trap(laid, "hold"):
            while not laid.with_name(f"{laid.name}.released").exists():
                await asyncio.sleep(0.02)


def add_seams(owner: object, method: str, before: str, after: str, only: str = "") -> None:
    """Put a seam before and after a method; `only` where one of its arguments is of these words."""
    original: Callable[..., Awaitable[object]] = getattr(owner, method)

    @functools.wraps(original)
    async def wrapped(*arguments: object, **named: object) -> object:
        if not _matches(only, arguments):
            return await original(*arguments, **named)
        await pass_seam(before)
        result = await original(*arguments, **named)
        await pass_seam(after)
        return result

    setattr(owner, method, wrapped)


def _matches(only: str, arguments: tuple[object, ...]) -> bool:
    """Whether a string among the arguments, or among the values of a mapping, starts with these words."""
    mappings = [each for each in arguments if isinstance(each, Mapping)]
    values = [*arguments, *(value for mapping in mappings for value in mapping.values())]
    return not only or any(isinstance(value, str) and value.startswith(only) for value in values)


def add_seam_within(owner: type, method: str, name: str, only: str = "") -> None:
    """Put a seam into a method at work, `SECONDS_IN` seconds after its begin."""
    original: Callable[..., Awaitable[object]] = getattr(owner, method)

    @functools.wraps(original)
    async def wrapped(*arguments: object, **named: object) -> object:
        async def later() -> None:
            if not _matches(only, arguments):
                return
            await asyncio.sleep(SECONDS_IN)
            await pass_seam(name)

        watching = asyncio.create_task(later())
        try:
            return await original(*arguments, **named)
        finally:
            watching.cancel()

    setattr(owner, method, wrapped)


def patch_worker() -> None:
    add_seams(SandboxProvider, "ensure", "sandbox-wanted", "sandbox-made")
    add_seams(Repository, "clone", "clone", "cloned")
    add_seam_within(MessagesClient, "turn", "within-a-turn")
    add_seams(MessagesClient, "turn", "turn", "answered")
    add_seams(activities.agent.turns, "store_turn", "store-turn", "turn-stored")
    add_seam_within(SandboxHandle, "tool", "within-a-tool-call")
    add_seams(SandboxHandle, "tool", "tool-call", "called")
    add_seam_within(SandboxHandle, "tool", "within-a-verification", only="command")
    add_seams(SandboxHandle, "tool", "verify", "verified", only="command")
    add_seams(SandboxProvider, "ensure", "fresh-wanted", "fresh-made", only="verification")
    add_seams(SandboxProvider, "kill_all", "kill-fresh", "fresh-killed", only="s_")
    add_seams(Repository, "push", "push", "pushed")
    add_seams(RunActivities, "record_command", "note", "noted")
    add_seams(GitHub, "ensure_pull_request", "pull-request", "pull-request-made")
    add_seams(PullRequests, "merge", "merge", "merged")
    add_seams(HiddenRefs, "delete", "delete-ref", "ref-deleted")
    add_seams(SandboxProvider, "kill_all", "kill-sandbox", "sandbox-killed")
    add_seams(WebhookDeliveryActivities, "_take_events", "webhook-take", "webhook-taken")
    add_seams(WebhookSender, "send", "webhook", "webhook-sent")
