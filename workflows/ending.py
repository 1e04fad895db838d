"""What an error means for a run."""

import asyncio

from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.runs import CloseRun
from models.run import RunStatus
from workflows.calls import cause


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
