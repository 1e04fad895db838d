"""What arrives slowly, or with too much of a head, is cut: raw connections to a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.http.protocol import BODY_BYTES_PER_TIMEOUT, MAX_HEAD_BYTES, BoundedProtocol
from local.stack.ports import free_ports
from tests.support.waiting import TEST_TIMEOUT_SECONDS

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that tells how long a body is."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    [port] = free_ports(1)
    config = uvicorn.Config(
        count, port=port, http=BoundedProtocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await task


async def answer(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """The answer to what is sent; empty when the connection is closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def post(length: int) -> bytes:
    return f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n".encode()


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (HEAD,),
        (b"\r\n",) * 10,
        (HEAD, *(b"a: b\r\n",) * 10),
        (post(9), b"abc"),
        (post(99), *(b"x",) * 10),
    ],
    ids=["silent", "half a head", "blank lines", "headers one by one", "half a body", "a body byte by byte"],
)
async def test_what_does_not_arrive_is_cut(
    port: int, parts: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.http.protocol.REQUEST_TIMEOUT_SECONDS", 0.3)
    assert await answer(port, *parts, pause=0.1) == b""


async def test_a_long_body_has_longer(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.http.protocol.REQUEST_TIMEOUT_SECONDS", 3.0)
    parts = [b"x" * BODY_BYTES_PER_TIMEOUT] * 4
    told = await answer(port, post(4 * BODY_BYTES_PER_TIMEOUT), *parts, pause=1.0)
    assert told.startswith(b"HTTP/1.1 200")
    assert told.endswith(b"\r\n\r\n4194304")


@pytest.mark.parametrize(
    "parts",
    [
        (HEAD, b"a: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"),
        (HEAD, b"a: ", *(b"x" * 20_000,) * 5),
        (HEAD, b"".join(b"a%d: b\r\n" % n for n in range(20_000))),
        (b"GET /" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",),
    ],
    ids=["one header", "one without an end", "many headers", "the path"],
)
async def test_too_long_a_head_is_cut(port: int, parts: tuple[bytes, ...]) -> None:
    assert not (await answer(port, *parts, pause=0.05)).startswith(b"HTTP/1.1 200")


async def test_a_long_head_is_taken_and_a_connection_stays(port: int) -> None:
    long = HEAD + b"a: " + b"x" * (MAX_HEAD_BYTES - 1_000) + b"\r\n\r\n"
    last = HEAD + b"Connection: close\r\n\r\n"
    assert (await answer(port, long, HEAD + b"\r\n", last)).count(b"HTTP/1.1 200 OK") == 3
