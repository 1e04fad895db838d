"""Workflows that have to be over before what they work on is deleted."""

import asyncio
import time
from collections.abc import Collection
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.executions import CLOSED_STATUSES, workflow_statuses

POLL_SECONDS: Final = 0.2
TERMINATION_TIMEOUT_SECONDS: Final = 30.0
"""How long a workflow may tidy up after a cancel, before it is terminated."""


async def end_workflows(
    client: Client, ids: Collection[str], reason: str, patience: float = TERMINATION_TIMEOUT_SECONDS
) -> None:
    """Cancel them and wait for their end; those that do not heed it in time are terminated.

    Those that are over, or never were, are fine, so repeating it is harmless.  Raises RPCError.
    """
    deadline = time.monotonic() + patience
    left = await _list_running(client, ids)
    for each in left:
        await _cancel_or_terminate(client, each, None)
    while left and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        left = await _list_running(client, left)
    for each in left:
        await _cancel_or_terminate(client, each, reason)


async def _list_running(client: Client, ids: Collection[str]) -> list[str]:
    statuses = await workflow_statuses(client, ids)
    return [each for each, status in statuses.items() if status is not None and status not in CLOSED_STATUSES]


async def _cancel_or_terminate(client: Client, id: str, reason: str | None) -> None:
    """Cancel a workflow; with a reason, terminate it."""
    handle = client.get_workflow_handle(id)
    try:
        if reason is None:
            await handle.cancel()
        else:
            await handle.terminate(reason)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # it ended by itself
            raise
