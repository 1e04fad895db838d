"""Around every activity: heartbeats, the ids of its log lines, its time outside, the name of its failure."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import get_contextvars
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.failures import as_application_error
from activities.jobs import Wait, bind_job
from activities.outside import spent_outside
from kit import logs
from kit.ids import is_id

log = logs.logger("worker.activity")
BEAT_SECONDS = 1.0


@contextmanager
def _beating(info: activity.Info) -> Iterator[None]:
    """A heartbeat every second from the activity's first line to its last; a cancel comes back with it."""
    if info.heartbeat_timeout is None:
        yield
        return
    loop = asyncio.get_running_loop()
    next_beat: asyncio.TimerHandle

    def beat() -> None:
        nonlocal next_beat
        activity.heartbeat()
        next_beat = loop.call_later(BEAT_SECONDS, beat)

    next_beat = loop.call_later(BEAT_SECONDS, beat)
    try:
        yield
    finally:
        next_beat.cancel()


class ActivityInterceptor(Interceptor):
    """tell: writes down that a job waits because an activity of it has to be tried again."""

    def __init__(self, tell: Callable[[Wait], Awaitable[None]]) -> None:
        self._tell = tell

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self._tell)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, tell: Callable[[Wait], Awaitable[None]]) -> None:
        super().__init__(next)
        self._tell = tell

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        logs.bind(workflow_id=info.workflow_id, activity=info.activity_type, attempt=info.attempt)
        if is_id(info.workflow_id or "", "r"):
            bind_job(info.workflow_id or "")
        outside: list[float] = []
        spent_outside.set(outside)
        started = time.perf_counter()
        outcome = "cancelled"
        try:
            with _beating(info):
                result = await super().execute_activity(input)
            outcome = "completed"
        except Exception as error:
            failure = as_application_error(error)
            outcome = failure.type or "failed"
            if failure.type == "INTERNAL":
                log.exception("an activity failed of a bug")
            else:
                log.warning("an activity failed", code=failure.type, message=failure.message)
                await self._show(info, failure)
            raise failure from None  # an error of our own may be its own cause, and causes tell of the inside
        finally:
            seconds = time.perf_counter() - started
            line = partial(
                log.info, "activity", outcome=outcome, is_local=info.is_local,
                milliseconds=round(seconds * 1000, 1), outside_milliseconds=round(sum(outside) * 1000, 1),
            )  # fmt: skip
            asyncio.get_running_loop().call_soon(line)  # as a rule the result is on its way by then
        return result

    async def _show(self, info: activity.Info, failure: ApplicationError) -> None:
        """From the second failure on, the job says what is tried again."""
        job_id = get_contextvars().get("job_id")
        if job_id is None or failure.non_retryable or info.is_local or info.attempt < 2:
            return
        message = f"{info.activity_type.replace('_', ' ')} is tried again: {failure.message}"
        try:
            await self._tell(Wait(job_id=job_id, code=failure.type or "INTERNAL", message=message))
        except (SQLAlchemyError, OSError) as error:
            log.warning("the job could not be told what it waits for", reason=type(error).__name__)
