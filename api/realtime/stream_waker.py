"""Wakes the streams of one process: one poll for new events serves all of them."""

import asyncio
from typing import Final

import psycopg

from api.realtime.event_stream import StreamRegistry
from kit.errors import Unavailable
from kit.logs import logger
from kit.sql_pool import SqlPool
from models.webhooks.event_polling import EventPoller

POLL_SECONDS: Final = 0.1
RETRY_SECONDS: Final = 1.0
"""Until the database is asked again that could not be reached."""

log = logger(__name__)


class StreamWaker:
    """Polls while any stream is open, from `start` to `close`."""

    def __init__(self, events: StreamRegistry, reads: SqlPool) -> None:
        """reads: of every project."""
        self._events, self._poller = events, EventPoller(reads.fetch)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="stream-waker")
        self._task.add_done_callback(_log_failure)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._events.wait_for_stream()
            await self._serve()

    async def _serve(self) -> None:
        """Until no stream is open."""
        has_started = False
        while self._events.stream_count:
            try:
                if has_started:
                    for owner in await self._poller.poll():
                        self._events.wake(owner.subject_id)
                        self._events.wake(owner.project_id)
                else:
                    await self._poller.start()
                    self._events.wake_all()  # they may have read before this moment
                    has_started = True
            except (Unavailable, psycopg.Error) as error:  # streams read by themselves meanwhile
                log.warning("stream_waker.unavailable", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(POLL_SECONDS)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Streams go on, seconds late, but an operator should know."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("stream_waker.died", exc_info=error)
