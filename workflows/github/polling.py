"""Waiting for a word of somebody else's, and not for ever."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

WEBHOOK_POLL_FACTOR = 5
"""How many times less often GitHub is looked at where its webhooks come: only for one that was lost."""
SIGNAL_BURST_WINDOW = timedelta(seconds=0.5)
"""Words come in bursts, one for each of a commit's checks: those that follow at once are heeded together."""


async def wait_for_signal(has_come: Callable[[], bool], patience: timedelta) -> bool:
    """Wait until it `has_come`, and a moment longer for more, or for `patience`; whether it has."""
    with suppress(TimeoutError):
        await workflow.wait_condition(has_come, timeout=patience)
        await workflow.sleep(SIGNAL_BURST_WINDOW)
    return has_come()


def next_pause(pause: timedelta, longest: timedelta, *, has_webhooks: bool) -> timedelta:
    """How long to wait after the next look, when nothing came: half as long again, up to a bound."""
    return min(pause * 1.5, longest * (WEBHOOK_POLL_FACTOR if has_webhooks else 1))
