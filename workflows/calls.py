"""How workflows call activities: at once on our own database, or patiently on the world outside.

A provider's limit is a wait, not an attempt: durable, and visible on the job.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.types import MethodAsyncSingleParam
from temporalio.workflow import ActivityCancellationType

from activities.failures import PROVIDER_LIMIT
from activities.jobs import JobActivities, Wait
from kit.temporal import INSTANT, Patience

S = TypeVar("S")
P = TypeVar("P")
R = TypeVar("R")
WHOLE = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
"""For effects outside: a cancelled run is over only when what it was making there is made, or not."""
LONGEST_SECONDS = 60.0
"""Of the pauses that we choose ourselves, where the provider named no time."""


async def instantly(activity: MethodAsyncSingleParam[S, P, R], arg: P) -> R:
    """A short transaction on our own database, as a local activity."""
    result: R = await workflow.execute_local_activity_method(
        activity,
        arg,
        start_to_close_timeout=INSTANT["start_to_close_timeout"],
        retry_policy=INSTANT["retry_policy"],
    )
    return result


async def patiently(
    job_id: str,
    activity: MethodAsyncSingleParam[S, P, R],
    arg: P,
    patience: Patience,
    *,
    summary: str,
    cancellation: ActivityCancellationType = ActivityCancellationType.TRY_CANCEL,
) -> R:
    """The result of an activity, asked for again after every wait that its provider demands.

    Waits grow from one second to a minute unless the provider names a time; a little chance in them keeps
    those who were sent away together from coming back together.
    """
    waits = 0
    while True:
        heed_cancel()
        try:
            result: R = await workflow.execute_activity_method(
                activity,
                arg,
                **patience,
                summary=summary,
                cancellation_type=cancellation,
            )
            heed_cancel()
            return result
        except ActivityError as error:
            limit = cause(error)
            if limit is None or limit.type != PROVIDER_LIMIT:
                raise
            named = limit.details[0] if limit.details else None
            seconds = float(named) if named is not None else min(LONGEST_SECONDS, 2.0**waits)
            waits += 1
            await _announce(job_id, limit.message, seconds)
            await workflow.sleep(timedelta(seconds=seconds * (1 + 0.1 * workflow.random().random())))


async def together(*works: Coroutine[object, object, None]) -> None:
    """Do all of it at once; what fails first, or a cancel, ends the rest before it is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def heed_cancel() -> None:
    """Raise a cancel that the engine swallowed: what ends well although it was cancelled gives its result."""
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


async def _announce(job_id: str, message: str, seconds: float) -> None:
    until = workflow.now() + timedelta(seconds=seconds)
    wait = Wait(job_id=job_id, code=PROVIDER_LIMIT, message=message, until=until)
    await instantly(JobActivities.wait, wait)


def cause(error: FailureError) -> ApplicationError | None:
    """What an activity or a child workflow failed of, where that has a code."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, ApplicationError):
        inner = inner.__cause__
    return inner
