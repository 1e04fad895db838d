"""Live event streams: the log of a run, or the feed of a project, as server-sent events.

A stream reads what is new, sends it, and sleeps until there are news (`api.realtime.stream_waker`); it holds
no connection meanwhile.  News are flags, not queues, so a slow client delays nobody and grows nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from typing import NamedTuple, Protocol

from fastapi import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive, Scope, Send

from api.http.rate_limits import Streaming
from kit.errors import AuthInvalid, Unavailable

HEARTBEAT_SECONDS = 15.0
POLL_SECONDS = 5.0
"""How often a stream looks by itself, in case news was lost."""
BATCH_SIZE = 200
UNSETTLED_POLL_SECONDS = 0.1
"""How soon it looks again for what is committed and may not be read yet."""


class LogBatch(NamedTuple):
    """What a look at a log found."""

    chunks: Sequence[bytes] = ()
    """Events, as they are sent."""
    is_finished: bool = False
    """Nothing will follow."""
    is_unsettled: bool = False
    """More will follow in a moment, which nobody is told of again."""


class EventLog(Protocol):
    """What a stream follows; it knows how far it was read."""

    subject: str
    """The id whose events wake the stream: a run's, or a project's."""

    async def read(self) -> LogBatch:
        """What follows what was read before."""
        ...


def format_sse(id: object, event: object, data: object) -> bytes:
    """One server-sent event."""
    return f"id: {id}\nevent: {event}\ndata: {data}\n\n".encode()


class StreamRegistry:
    """Who waits for news of which subject."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._awaited = asyncio.Event()
        self.closed = False

    def wake(self, subject: str) -> None:
        for flag in self._waiting.get(subject, ()):
            flag.set()

    def wake_all(self) -> None:
        for flags in self._waiting.values():
            for flag in flags:
                flag.set()

    def close(self) -> None:
        """End every stream: the process stops."""
        self.closed = True
        self.wake_all()

    @property
    def stream_count(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def wait_for_stream(self) -> None:
        """Come back when any stream is open."""
        await self._awaited.wait()

    @contextmanager
    def wait_for_wake(self, subject: str) -> Iterator[asyncio.Event]:
        flag = asyncio.Event()
        self._waiting[subject].add(flag)
        self._awaited.set()
        try:
            yield flag
        finally:
            self._waiting[subject].discard(flag)
            if not self._waiting[subject]:
                del self._waiting[subject]
            if not self._waiting:
                self._awaited.clear()


async def follow_log(
    events: StreamRegistry, source: EventLog, allowed: Callable[[], Awaitable[object]]
) -> AsyncGenerator[bytes, None]:
    """Every event of a log, with heartbeats, until its last one or the shutdown.

    allowed: raises AuthInvalid once the key was revoked, which ends the stream too.
    """
    with events.wait_for_wake(source.subject) as news:
        silent = 0.0
        yield b"retry: 2000\n\n"
        while True:
            news.clear()
            if events.closed:
                return
            try:
                await allowed()
                found = await source.read()
            except (Unavailable, SQLAlchemyError):  # the stream outlives a restart of the database
                found = LogBatch()
            except AuthInvalid:
                return
            for chunk in found.chunks:
                yield chunk
            if found.is_finished:
                return
            if found.chunks:
                silent = 0.0
                continue
            rest = min(POLL_SECONDS, HEARTBEAT_SECONDS)
            if found.is_unsettled:
                rest = min(rest, UNSETTLED_POLL_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await news.wait()
                continue
            silent += rest
            if silent >= HEARTBEAT_SECONDS:
                silent = 0.0
                yield b": heartbeat\n\n"


class EventStream(Response):
    """Sends a stream, and ends it as soon as the client is gone.

    Raises RateLimited, before anything is sent, where there is no place for it.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes, None], place: Streaming) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks, self._place = chunks, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place(scope):
            await self._follow(receive, send)

    async def _follow(self, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._chunks):
            async for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
