"""Live event streams: the log of a run as server-sent events, from any point of it until its last event.

A stream reads what is new, sends it, and sleeps until the listener hears of news; it holds no connection
meanwhile.  News are flags, not queues, so a slow client delays nobody and grows nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import cast

from fastapi import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive, Scope, Send

from kit.direct import Direct
from kit.errors import AuthInvalid, Unavailable
from models.event import EventType

HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 5.0
"""How often a stream looks by itself, in case news was lost."""
BATCH = 200
_LAST = [kind.value for kind in EventType if kind.is_last]
_NEWS = (
    "SELECT seq, type, json_build_object('seq', seq, 'type', type, 'createdAt',"
    """ to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'data', data)::text"""
    " FROM event WHERE subject_id = %(subject)s AND seq > %(after)s ORDER BY seq LIMIT %(batch)s"
)
_LAST_SEQ = "SELECT seq FROM event WHERE subject_id = %(subject)s AND type = ANY(%(last)s) LIMIT 1"


class Events:
    """Who waits for news of which subject."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
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
    def streams(self) -> int:
        return sum(map(len, self._waiting.values()))

    @contextmanager
    def waiting(self, subject: str) -> Iterator[asyncio.Event]:
        flag = asyncio.Event()
        self._waiting[subject].add(flag)
        try:
            yield flag
        finally:
            self._waiting[subject].discard(flag)
            if not self._waiting[subject]:
                del self._waiting[subject]


async def follow(
    events: Events, reads: Direct, subject: str, after: int, allowed: Callable[[], Awaitable[object]]
) -> AsyncGenerator[bytes, None]:
    """Every event of the subject after `after`, with heartbeats, until its last one or the shutdown.

    allowed: raises AuthInvalid once the key was revoked, which ends the stream too.
    """
    with events.waiting(subject) as news:
        silent = 0.0
        yield b"retry: 2000\n\n"
        while True:
            news.clear()
            if events.closed:
                return
            try:
                await allowed()
                rows = await reads.fetch(_NEWS, {"subject": subject, "after": after, "batch": BATCH})
                last = () if rows else await reads.fetch(_LAST_SEQ, {"subject": subject, "last": _LAST})
            except (Unavailable, SQLAlchemyError):  # the stream outlives a restart of the database
                rows = last = ()
            except AuthInvalid:
                return
            for seq, kind, data in rows:
                after = cast("int", seq)
                yield f"id: {seq}\nevent: {kind}\ndata: {data}\n\n".encode()
            if any(kind in _LAST for _, kind, _ in rows):
                return
            if last and cast("int", last[0][0]) <= after:
                return
            if rows:
                silent = 0.0
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS, HEARTBEAT_SECONDS)):
                    await news.wait()
                continue
            silent += min(LOOK_SECONDS, HEARTBEAT_SECONDS)
            if silent >= HEARTBEAT_SECONDS:
                silent = 0.0
                yield b": heartbeat\n\n"


class EventStream(Response):
    """Sends a stream, and ends it as soon as the client is gone."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
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


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
