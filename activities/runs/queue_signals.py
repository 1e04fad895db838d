"""Signalling queued runs that there may be room for them."""

import asyncio
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from kit.database import Database
from kit.logs import logger
from models.runs.run_queue import admissible_runs

QUEUE_TURN_SIGNAL: Final = "turn_came"
"""The signal of a run's workflow: ask again whether it may begin."""
SIGNAL_TIMEOUT_SECONDS: Final = 3.0
"""How long the caller, who has something else to do, waits for Temporal to take all signals."""

log = logger(__name__)


async def signal_next_runs(database: Database, client: Client, project_id: str) -> None:
    """Signal the queued runs that may begin by now; a run that is not reached asks by itself later.

    Best effort: what Temporal does not take is logged and never raised.
    """
    async with database.read_only() as session:
        queued = await admissible_runs(session, project_id)
    try:
        async with asyncio.timeout(SIGNAL_TIMEOUT_SECONDS):
            for run_id in queued:
                await _signal(client, run_id)
    except TimeoutError:
        log.warning("run.queue_signal_failed", project_id=project_id, reason="Temporal does not answer")


async def _signal(client: Client, run_id: str) -> None:
    try:
        await client.get_workflow_handle(run_id).signal(QUEUE_TURN_SIGNAL)
    except RPCError as error:  # it has just ended: the others are signalled all the same
        log.warning("run.queue_signal_failed", run_id=run_id, reason=error.status.name)
