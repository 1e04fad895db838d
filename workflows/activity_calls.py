"""How workflows call activities: at once on our own database, or patiently on the world outside.

A provider's limit is a wait, not an attempt: durable, and visible on the job.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, RetryState
from temporalio.types import MethodAsyncSingleParam
from temporalio.workflow import ActivityCancellationType

from activities.errors import PROVIDER_LIMIT, UNEXPECTED_ERROR, UNEXPECTED_ERROR_TIMEOUT
from activities.jobs.lifecycle import RETRYING, JobActivities, JobWait
from kit.temporal import LOCAL_DB, ActivityOptions

S = TypeVar("S")
P = TypeVar("P")
R = TypeVar("R")
WAIT_FOR_COMPLETION = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
"""For effects outside: a cancelled run is over only when what it was making there is made, or not."""
MAX_BACKOFF_SECONDS = 60.0
"""Of the pauses that we choose ourselves, where the provider named no time."""
LONG_WAIT_SECONDS, MAX_ROUND_PAUSE_SECONDS = 300.0, 900.0
"""From which on a job rests while it waits; the longest pause between two rounds of attempts."""
MAX_ROUNDS = 600
"""Of attempts, with rests in between: about a week."""
PauseCallback = Callable[[], Awaitable[None]]


async def run_local(activity: MethodAsyncSingleParam[S, P, R], arg: P) -> R:
    """A short transaction on our own database, as a local activity."""
    result: R = await workflow.execute_local_activity_method(
        activity,
        arg,
        start_to_close_timeout=LOCAL_DB["start_to_close_timeout"],
        retry_policy=LOCAL_DB["retry_policy"],
    )
    return result


async def run_with_provider_waits(
    job_id: str,
    activity: MethodAsyncSingleParam[S, P, R],
    arg: P,
    patience: ActivityOptions,
    *,
    summary: str,
    cancellation: ActivityCancellationType = ActivityCancellationType.TRY_CANCEL,
    rest: PauseCallback | None = None,
) -> R:
    """The result of an activity, asked for again after every wait that its provider demands.

    Waits grow from one second to a minute unless the provider names a time; a little chance in them keeps
    those who were sent away together from coming back together.

    rest: saves what an idle job costs, before each long wait.  With it the attempts of `patience` are but a
    round: another one comes after a pause, for about a week.  What nobody foresaw, a bug as a rule, is given
    up after the usual hour.
    """
    waits = rounds = 0
    bug_since: datetime | None = None
    while True:
        raise_if_cancelled()
        began = workflow.now()
        try:
            result: R = await workflow.execute_activity_method(
                activity,
                arg,
                **patience,
                summary=summary,
                cancellation_type=cancellation,
            )
            raise_if_cancelled()
            return result
        except ActivityError as error:
            failure = application_error(error)
            is_bug = failure is not None and failure.type == UNEXPECTED_ERROR
            bug_since = (bug_since or began) if is_bug else None
            if bug_since is not None and workflow.now() - bug_since >= UNEXPECTED_ERROR_TIMEOUT:
                raise
            if failure is not None and failure.type == PROVIDER_LIMIT:
                named = failure.details[0] if failure.details else None
                code, message = PROVIDER_LIMIT, failure.message
                seconds = float(named) if named is not None else min(MAX_BACKOFF_SECONDS, 2.0**waits)
                waits += 1
            elif rest is not None and _has_exhausted_attempts(error) and rounds < MAX_ROUNDS:
                rounds += 1
                code, message = RETRYING, f"{summary} is tried again: {_failure_text(failure)}"
                seconds = min(MAX_ROUND_PAUSE_SECONDS, rounds * LONG_WAIT_SECONDS)
            else:
                raise
        if rest is not None and seconds >= LONG_WAIT_SECONDS:
            await rest()
        await _record_wait(job_id, code, message, seconds)
        await workflow.sleep(timedelta(seconds=seconds * (1 + 0.1 * workflow.random().random())))


def _has_exhausted_attempts(error: ActivityError) -> bool:
    """Whether it failed of nothing but the number of its attempts: the next one may succeed."""
    return error.retry_state is RetryState.MAXIMUM_ATTEMPTS_REACHED


def _failure_text(failure: ApplicationError | None) -> str:
    return failure.message if failure is not None else "It was interrupted again and again."


async def run_all(*works: Coroutine[object, object, None]) -> None:
    """Do all of it at once; what fails first, or a cancel, ends the rest before it is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def raise_if_cancelled() -> None:
    """Raise a cancel that the engine swallowed: what ends well although it was cancelled gives its result."""
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


async def _record_wait(job_id: str, code: str, message: str, seconds: float) -> None:
    until = workflow.now() + timedelta(seconds=seconds)
    wait = JobWait(job_id=job_id, code=code, message=message, until=until)
    await run_local(JobActivities.record_wait, wait)


def application_error(error: FailureError) -> ApplicationError | None:
    """What an activity or a child workflow failed of, where that has a code."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, ApplicationError):
        inner = inner.__cause__
    return inner
