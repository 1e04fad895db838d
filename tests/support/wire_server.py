"""An HTTP server that answers with exactly the bytes of a test, for what no well-behaved server sends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from pydantic import JsonValue

Event = dict[str, JsonValue]
WireResponse = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class WireServer:
    address: str
    bodies: list[dict[str, JsonValue]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the connection is closed."""


@asynccontextmanager
async def run_wire_server(*answers: WireResponse) -> AsyncIterator[WireServer]:
    """A server that gives one of the answers to each connection, in order."""
    wire, left = WireServer(""), list(answers)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head if line)}
        wire.headers.append(headers)
        wire.bodies.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        answering = asyncio.ensure_future(left.pop(0)(writer))
        with suppress(ConnectionError):
            await reader.read()  # to its end
        wire.gone.set()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    wire.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield wire


def status(code: int, body: str | Event, **headers: str) -> WireResponse:
    text = body if isinstance(body, str) else json.dumps(body)
    head = {"content-length": str(len(text.encode())), "connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} Said", *(f"{name}: {value}" for name, value in head.items()), "", text]
        writer.write("\r\n".join(lines).encode())
        writer.close()

    return answer


def api_error(kind: str, message: str) -> Event:
    return {"type": "error", "error": {"type": kind, "message": message}}


def stream(*parts: Event | str | float, end: bool = True) -> WireResponse:
    """Server-sent events: a dict is one, a string is sent as it is, a number is a silence in seconds.

    end: whether the body is ended as HTTP wants it; else the connection just breaks.
    """

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for part in parts:
            if isinstance(part, float):
                await writer.drain()
                await asyncio.sleep(part)
                continue
            text = part if isinstance(part, str) else f"event: {part['type']}\ndata: {json.dumps(part)}\n\n"
            writer.write(b"%x\r\n%b\r\n" % (len(text.encode()), text.encode()))
        writer.write(b"0\r\n\r\n" if end else b"")
        await writer.drain()
        writer.close()

    return answer


USAGE: Event = {
    "input_tokens": 11,
    "output_tokens": 1,
    "cache_read_input_tokens": 700,
    "cache_creation_input_tokens": 90,
    "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 30},
}
START: Event = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE,
    },
}
STOP: Event = {"type": "message_stop"}


def block(index: int, first: Event, *deltas: Event) -> list[Event]:
    begun: Event = {"type": "content_block_start", "index": index, "content_block": first}
    grown: list[Event] = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [begun, *grown, {"type": "content_block_stop", "index": index}]


def thinking_block(index: int, *words: str, signature: str = "c2lnbmVk") -> list[Event]:
    deltas: list[Event] = [{"type": "thinking_delta", "thinking": word} for word in words]
    first: Event = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, first, *deltas, {"type": "signature_delta", "signature": signature})


def text_block(index: int, *words: str) -> list[Event]:
    deltas: list[Event] = [{"type": "text_delta", "text": word} for word in words]
    return block(index, {"type": "text", "text": ""}, *deltas)


def tool_use_block(index: int, name: str, *json_pieces: str) -> list[Event]:
    deltas: list[Event] = [{"type": "input_json_delta", "partial_json": piece} for piece in json_pieces]
    first: Event = {
        "type": "tool_use",
        "id": f"toolu_{index}",
        "name": name,
        "input": {},
        "caller": {"type": "direct"},
    }
    return block(index, first, *deltas)


def stop_events(reason: str | None, output_tokens: int = 42) -> list[Event]:
    delta: Event = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}}, STOP]
