"""Links: connections between two parts that a fault can slow, cut, hold, or answer in a server's place."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult

from local.stack.ports import LOOPBACK

CHUNK = 65_536
NEVER_HEARD = 1.0
"""Seconds for a client to send the rest of a request that is answered before it was read."""
HTTP_DEFAULT = 80


class Direction(StrEnum):
    there = "there"
    """From the client to the server."""
    back = "back"


@dataclass
class Interception:
    """What happens to requests that match, so many times: their answer is lost, or replaced.

    performed: whether the server gets the request first.
    answer: what the client is told; nothing, and its connection ends, if that is empty.
    """

    request: re.Pattern[bytes]
    times: int
    performed: bool = True
    answer: bytes = b""
    seen: int = 0


def response(status: int, body: str = "{}", headers: str = "") -> bytes:
    """An HTTP response, after which the connection ends."""
    head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()


@dataclass
class Link:
    """A door before one server.  It passes everything on until it is told otherwise.

    delay: seconds that every piece of data waits.
    """

    host: str
    port: int
    delay: float = 0.0
    is_down: bool = False
    interceptions: list[Interception] = field(default_factory=list)
    door: int = 0
    """The port that clients use."""
    _open: dict[Direction, asyncio.Event] = field(default_factory=dict)
    _passing: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._open = {direction: asyncio.Event() for direction in Direction}
        for event in self._open.values():
            event.set()

    @classmethod
    def to(cls, address: SplitResult) -> "Link":
        return cls(address.hostname or LOOPBACK, address.port or HTTP_DEFAULT)

    def lose_answer(self, request: bytes, times: int = 1) -> Interception:
        """The server does what matches asks for, and nobody hears of it."""
        return self._intercept(Interception(re.compile(request), times))

    def refuse(self, request: bytes, answer: bytes, times: int = 1) -> Interception:
        """What matches is answered in place of the server, which does not get it."""
        return self._intercept(Interception(re.compile(request), times, performed=False, answer=answer))

    def misreport(self, request: bytes, answer: bytes, times: int = 1) -> Interception:
        """The server does what matches asks for, and the client is told something else."""
        return self._intercept(Interception(re.compile(request), times, answer=answer))

    def hold(self, *directions: Direction) -> None:
        """From now on nothing passes in these directions; what was sent waits."""
        for direction in directions:
            self._open[direction].clear()

    def take_down(self) -> None:
        """End every connection and let none be made."""
        self.is_down = True
        self.cut()

    def cut(self) -> None:
        """End every connection there is."""
        for task in self._passing:
            task.cancel()

    def heal(self) -> None:
        self.is_down, self.delay = False, 0.0
        self.interceptions.clear()
        for event in self._open.values():
            event.set()

    def _intercept(self, interception: Interception) -> Interception:
        self.interceptions.append(interception)
        return interception

    async def _pass(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        try:
            if not self.is_down:
                server, to_server = await asyncio.open_connection(self.host, self.port)
                try:
                    await _Connection(self, client, to_client, server, to_server).pass_on()
                finally:
                    to_server.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # whichever side ended it, the other one is told below
        finally:
            to_client.transport.abort()

    async def wait(self, direction: Direction) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._open[direction].wait()

    def intercepted(self, data: bytes) -> Interception | None:
        for each in self.interceptions:
            if each.seen < each.times and each.request.match(data):
                each.seen += 1
                return each
        return None


@dataclass
class _Connection:
    link: Link
    client: asyncio.StreamReader
    to_client: asyncio.StreamWriter
    server: asyncio.StreamReader
    to_server: asyncio.StreamWriter
    intercepted: Interception | None = None

    async def pass_on(self) -> None:
        """Until either side ends the connection, or an interception does."""
        ways = [asyncio.create_task(self._there()), asyncio.create_task(self._back())]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _there(self) -> None:
        while data := await self.client.read(CHUNK):
            self.intercepted = self.link.intercepted(data) or self.intercepted
            if self.intercepted is not None and not self.intercepted.performed:
                await self._answer(self.intercepted)
                await self._hear_out()
                return
            await self.link.wait(Direction.there)
            self.to_server.write(data)
            await self.to_server.drain()

    async def _back(self) -> None:
        while data := await self.server.read(CHUNK):
            if self.intercepted is not None and not data.startswith(b"HTTP/1.1 100"):
                await self._answer(self.intercepted)
                return
            await self.link.wait(Direction.back)
            self.to_client.write(data)
            await self.to_client.drain()

    async def _answer(self, interception: Interception) -> None:
        if interception.answer:
            self.to_client.write(interception.answer)
            await self.to_client.drain()
            self.to_client.write_eof()

    async def _hear_out(self) -> None:
        """Let the client say all of a request that was answered early, lest it miss the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(NEVER_HEARD):
                while await self.client.read(CHUNK):
                    pass


@asynccontextmanager
async def opened_link(address: SplitResult) -> AsyncIterator[Link]:
    """A link to the server at this address, until the block ends."""
    link = Link.to(address)
    door = await asyncio.start_server(link._pass, LOOPBACK, 0)
    link.door = door.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        door.close()
        link.cut()
