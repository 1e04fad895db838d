"""What Temporal says of workflows, by their ids."""

import asyncio
from collections.abc import Iterable
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

MAX_CONCURRENT_REQUESTS: Final = 20
"""Workflows that Temporal is asked about at the same time."""
CLOSED_STATUSES: Final = frozenset(
    {
        WorkflowExecutionStatus.COMPLETED,
        WorkflowExecutionStatus.FAILED,
        WorkflowExecutionStatus.CANCELED,
        WorkflowExecutionStatus.TERMINATED,
        WorkflowExecutionStatus.TIMED_OUT,
    }
)
Statuses = dict[str, WorkflowExecutionStatus | None]


async def workflow_status(client: Client, id: str) -> WorkflowExecutionStatus | None:
    """The status of the workflow with this id; None when Temporal has none.  Raises RPCError."""
    try:
        return (await client.get_workflow_handle(id).describe()).status
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None


async def workflow_statuses(client: Client, ids: Iterable[str]) -> Statuses:
    """The same for many, some at a time."""
    turn = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)

    async def ask(id: str) -> tuple[str, WorkflowExecutionStatus | None]:
        async with turn:
            return id, await workflow_status(client, id)

    return dict(await asyncio.gather(*map(ask, ids)))
