"""A receiver of webhooks over real HTTP, which behaves as a test tells it and remembers what it got."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def verify(self, secret: str) -> None:
        """Raises WebhookVerificationError."""
        Webhook(secret).verify(self.body, self.headers)


ResponseBehaviour = Callable[["Receiver", asyncio.StreamWriter], Awaitable[None]]


def respond_with(status: int, body: str = "", **headers: str) -> ResponseBehaviour:
    async def answer(_: "Receiver", writer: asyncio.StreamWriter) -> None:
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"HTTP/1.1 {status} X", f"content-length: {len(body.encode())}", *lines])
        writer.write(f"{head}\r\nconnection: close\r\n\r\n{body}".encode())
        await writer.drain()

    return answer


async def never_answer(receiver: "Receiver", writer: asyncio.StreamWriter) -> None:
    """Says nothing at all, as long as it is there."""
    await receiver.closing.wait()


async def answer_endlessly(_: "Receiver", writer: asyncio.StreamWriter) -> None:
    """An answer without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def close_connection(_: "Receiver", writer: asyncio.StreamWriter) -> None:
    """Closes the connection instead of an answer."""


@dataclass
class Receiver:
    port: int
    scheme: str = "http"
    behaviours: dict[str, ResponseBehaviour] = field(default_factory=dict)
    """By path; what is not named here answers 200."""
    got: list[Received] = field(default_factory=list)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/ok", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [each for each in self.got if each.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            received = Received(first.split(" ")[1], headers, body)
            self.got.append(received)
            await self.behaviours.get(received.path, respond_with(200, "ok"))(self, writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def run_receiver(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a port of its own, or on this one."""
    receiver = Receiver(port, "https" if tls else "http")
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.close()
        await asyncio.sleep(0)
