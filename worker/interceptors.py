"""Around every activity: heartbeats, the ids of its log lines, its time outside, the name of its failure."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import get_contextvars
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.errors import (
    UNEXPECTED_ERROR,
    is_final,
    make_non_retryable,
    redact_failure,
    to_application_error,
)
from activities.gateway_factory import external_seconds, redactors
from activities.jobs.lifecycle import RETRYING, JobWait, TimedResult, bind_job
from activities.jobs.resumption import Resumption, collect_already_done
from kit import logs
from kit.redaction import Redactor
from models.jobs.job_lookup import JOB_TABLES
from worker.losses import find_worker_loss

log = logs.logger("worker.activity")
HEARTBEAT_SECONDS = 1.0


@contextmanager
def _heartbeating(info: activity.Info) -> Iterator[None]:
    """A heartbeat every second from the activity's first line to its last; a cancel comes back with it."""
    if info.heartbeat_timeout is None:
        yield
        return
    loop = asyncio.get_running_loop()
    next_beat: asyncio.TimerHandle

    def beat() -> None:
        nonlocal next_beat
        activity.heartbeat()
        next_beat = loop.call_later(HEARTBEAT_SECONDS, beat)

    next_beat = loop.call_later(HEARTBEAT_SECONDS, beat)
    try:
        yield
    finally:
        next_beat.cancel()


class ActivityInterceptor(Interceptor):
    """tell: writes down that a job waits because an activity of it has to be tried again.

    resume: writes down that a job goes on after a worker had left it in the middle.
    """

    def __init__(
        self, tell: Callable[[JobWait], Awaitable[None]], resume: Callable[[Resumption], Awaitable[None]]
    ) -> None:
        self._tell, self._resume = tell, resume

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self._tell, self._resume)


class _Inbound(ActivityInboundInterceptor):
    def __init__(
        self,
        next: ActivityInboundInterceptor,
        tell: Callable[[JobWait], Awaitable[None]],
        resume: Callable[[Resumption], Awaitable[None]],
    ) -> None:
        super().__init__(next)
        self._tell, self._resume = tell, resume

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        logs.bind(workflow_id=info.workflow_id, activity=info.activity_type, attempt=info.attempt)
        if info.workflow_id and info.workflow_id.partition("_")[0] in JOB_TABLES:
            bind_job(info.workflow_id)
        found = collect_already_done()
        outside: list[float] = []
        external_seconds.set(outside)
        own: list[Redactor] = []
        redactors.set(own)
        started = time.monotonic()
        outcome = "cancelled"
        try:
            with _heartbeating(info):
                loss = await find_worker_loss(info)
                result = await super().execute_activity(input)
                if loss is not None:
                    await self._record_resumption(info, loss, found)
            if isinstance(result, TimedResult):
                result.active_seconds = time.monotonic() - started
            outcome = "completed"
        except Exception as error:
            failure = redact_failure(to_application_error(error), own)
            outcome = failure.type or "failed"
            if failure.type == UNEXPECTED_ERROR:
                log.exception("an activity failed of a bug")
            else:
                log.warning("an activity failed", code=failure.type, message=failure.message)
            if is_final(failure, datetime.now(UTC) - info.scheduled_time, info.attempt):
                failure = make_non_retryable(failure)
            await self._record_retry(info, failure)
            raise failure from None  # an error of our own may be its own cause, and causes tell of the inside
        finally:
            seconds = time.monotonic() - started
            line = partial(
                log.info,
                "activity",
                outcome=outcome,
                is_local=info.is_local,
                milliseconds=round(seconds * 1000, 1),
                outside_milliseconds=round(sum(outside) * 1000, 1),
            )
            asyncio.get_running_loop().call_soon(line)  # as a rule the result is on its way by then
        return result

    async def _record_resumption(self, info: activity.Info, loss: str, found: list[str]) -> None:
        """The work is done by now: the job says that it had been left in the middle."""
        job_id = get_contextvars().get("job_id")
        if job_id is None:
            return
        resumption = Resumption(
            job_id=job_id,
            activity=info.activity_type,
            activity_id=f"{info.workflow_run_id}/{info.activity_id}",
            attempt=info.attempt,
            reason=loss,
            found=found,
        )
        try:
            await self._resume(resumption)
        except (SQLAlchemyError, OSError) as error:
            log.warning("job.resumption_untold", reason=type(error).__name__)

    async def _record_retry(self, info: activity.Info, failure: ApplicationError) -> None:
        """From the second failure on, the job says what is tried again."""
        if failure.non_retryable or info.attempt < 2:
            return
        if info.is_local and failure.type != UNEXPECTED_ERROR:
            return  # the database is away, so nothing can be written down
        job_id = get_contextvars().get("job_id") or info.workflow_id or ""
        code = RETRYING if failure.type == UNEXPECTED_ERROR else failure.type or RETRYING
        message = f"{info.activity_type.replace('_', ' ')} is tried again: {failure.message}"
        try:
            await self._tell(JobWait(job_id=job_id, code=code, message=message))
        except Exception:
            log.exception("the job could not be told what it waits for")
            raise failure from None  # it is what matters, whatever went wrong here besides
