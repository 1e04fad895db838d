"""How a run ends: what an error means for it, and clean-up that a cancel does not cut short."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.runs import CloseRun
from models.run import RunStatus
from workflows.calls import cause

T = TypeVar("T")


def ending_of(run_id: str, error: FailureError | asyncio.CancelledError) -> CloseRun:
    """Cancelled, or failed with the code and the sentence that the error brings along."""
    if is_cancelled_exception(error) or not isinstance(error, FailureError):
        return CloseRun(run_id=run_id, status=RunStatus.cancelled)
    failure = cause(error)
    if failure is None or failure.type is None:
        code, sentence = "TIMEOUT", "A part of the run took longer than it may. Restart the run."
    else:
        code, sentence = failure.type, failure.message
    return CloseRun(run_id=run_id, status=RunStatus.failed, code=code, message=sentence)


async def to_the_end(work: Coroutine[object, object, T]) -> T:
    """Let clean-up finish although the run is being cancelled."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task
