"""Around every activity: the ids of its log lines, the time it spent outside, and the name of its failure."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.failures import as_application_error
from activities.outside import spent_outside
from kit import logs
from kit.ids import is_id

log = logs.logger("worker.activity")
BEAT_SECONDS = 1.0


@asynccontextmanager
async def _beating(info: activity.Info) -> AsyncIterator[None]:
    """Heartbeats from the activity's first line to its last, which is also how a cancel reaches it."""
    if info.heartbeat_timeout is None:
        yield
        return

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


class ActivityInterceptor(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        logs.bind(workflow_id=info.workflow_id, activity=info.activity_type, attempt=info.attempt)
        if is_id(info.workflow_id or "", "r"):
            logs.bind(run_id=info.workflow_id)
        outside: list[float] = []
        spent_outside.set(outside)
        started = time.perf_counter()
        outcome = "cancelled"
        try:
            async with _beating(info):
                result = await super().execute_activity(input)
            outcome = "completed"
        except Exception as error:
            failure = as_application_error(error)
            outcome = failure.type or "failed"
            if failure.type == "INTERNAL":
                log.exception("an activity failed of a bug")
            else:
                log.warning("an activity failed", code=failure.type, message=failure.message)
            raise failure from None  # an error of our own may be its own cause, and causes tell of the inside
        finally:
            seconds = time.perf_counter() - started
            log.info(
                "activity", outcome=outcome, is_local=info.is_local, milliseconds=round(seconds * 1000, 1),
                outside_milliseconds=round(sum(outside) * 1000, 1),
            )  # fmt: skip
        return result
