"""How a job's workflow ends: what an error means for it, and a last word that nothing can cut short."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.jobs.lifecycle import JobResult
from kit.cancellation import spawn
from kit.temporal import STATUS
from workflows.activity_calls import application_error
from workflows.bugs import BUG_CODE, BUG_MESSAGE, is_bug

T = TypeVar("T")
UNEXPECTED_ERROR_RESULT = JobResult(status="failed", code=BUG_CODE, message=BUG_MESSAGE)
"""What is written on a job's row when a bug ends its workflow."""


def to_job_result(error: FailureError | asyncio.CancelledError) -> JobResult:
    """Cancelled, or failed with the code and the sentence that the error brings along.

    What fails after a cancel does so because of it: when a worker dies, the engine tries nothing again.
    """
    is_cancel = is_cancelled_exception(error) or workflow.cancellation_reason() is not None
    if is_cancel or not isinstance(error, FailureError):
        return JobResult(status="cancelled")
    failure = application_error(error)
    if failure is None or failure.type is None:
        sentence = "A part of it took longer than it may. Start it again."
        return JobResult(status="failed", code="TIMEOUT", message=sentence)
    return JobResult(status="failed", code=failure.type, message=failure.message)


async def run_and_close(
    work: Coroutine[object, object, JobResult], close: Callable[[JobResult], Coroutine[object, object, T]]
) -> T:
    """Do a job's work, then what ends it, once and whatever happened; what `close` gives.

    A cancel that comes while it is closed comes too late.  A bug closes the job and is raised again, for the
    workflow to fail (`workflows.bugs`); what suspends the workflow task closes nothing.
    """
    bug: Exception | None = None
    try:
        ending = await work
    except (FailureError, asyncio.CancelledError) as error:
        ending = to_job_result(error)
    except Exception as error:
        if not is_bug(error):
            raise
        ending, bug = UNEXPECTED_ERROR_RESULT, error
    closing = spawn(close(ending))
    with suppress(asyncio.CancelledError):
        await asyncio.shield(closing)
    status = await closing
    if bug is not None:
        raise bug
    return status


def publish_result(status: str, message: str | None) -> None:
    """How it ended, for operators: in the list and on the workflow's own page."""
    workflow.upsert_search_attributes([STATUS.value_set(status)])
    workflow.set_current_details(f"{status.capitalize()}. {message or ''}")
