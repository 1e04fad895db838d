"""An answer as Anthropic's server-sent events, and the ways in which a stream goes wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

from pydantic import JsonValue
from starlette.types import Receive, Scope, Send

from local.model.responses import LABEL, ContentBlock, ScriptedResponse

DELTA_CHARACTERS = 48
PING_SECONDS = 5.0

EMPTY: dict[str, "Event"] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}
"""What a block's first event leaves out, to be filled by its deltas."""

Event = dict[str, JsonValue]
Usage = dict[str, JsonValue]


def message(answer: ScriptedResponse, model: str, usage: Usage) -> Event:
    """The whole answer, as a request without `stream` gets it."""
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [*answer.content],
        "stop_reason": answer.stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def truncate_response(answer: ScriptedResponse, fault: str) -> ScriptedResponse:
    """The answer ended by a `refusal`, or by `maxTokens`: streamed, its last block stops half way."""
    if fault == "refusal":
        content: list[ContentBlock] = [{"type": "text", "text": f"{LABEL} I cannot help with this."}]
        return replace(answer, content=content, stop_reason="refusal")
    return replace(answer, stop_reason="max_tokens")


def events(answer: ScriptedResponse, model: str, usage: Usage) -> Iterator[Event]:
    """Every event of a stream in order; one output token is counted at the start, all of them at the end."""
    start = {**message(answer, model, {**usage, "output_tokens": 1}), "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(answer.content):
        is_cut = answer.stop_reason == "max_tokens" and index == len(answer.content) - 1
        yield from _block_events(index, block, is_cut)
    delta: Event = {"stop_reason": answer.stop_reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": usage}
    yield {"type": "message_stop"}


def _block_events(index: int, block: ContentBlock, is_cut: bool) -> Iterator[Event]:
    yield {
        "type": "content_block_start",
        "index": index,
        "content_block": {**block, **EMPTY[str(block["type"])]},
    }
    deltas = _deltas(block)
    for delta in deltas[: len(deltas) // 2] if is_cut else deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _deltas(block: ContentBlock) -> list[Event]:
    kind = str(block["type"])
    if kind == "tool_use":
        pieces = ["", *_text_deltas(json.dumps(block["input"]))]
        return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    deltas: list[Event] = [{"type": f"{kind}_delta", kind: piece} for piece in _text_deltas(str(block[kind]))]
    if kind == "thinking":
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    return deltas


def _text_deltas(text: str) -> Iterator[str]:
    return (text[start : start + DELTA_CHARACTERS] for start in range(0, len(text), DELTA_CHARACTERS))


class EventStream:
    """An ASGI response that sends the events, and can stop half way.

    fault: None, or `cut` (the connection breaks), `truncated` (the stream ends cleanly, but early) or
        `malformed` (an event that is not JSON).
    """

    def __init__(
        self, all_events: list[Event], headers: dict[str, str], delay: float, fault: str | None
    ) -> None:
        self._events, self._delay, self._fault = all_events, delay, fault
        self._headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            **headers,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in self._chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if self._fault != "cut":  # a body without an end makes the server drop the connection
            await send({"type": "http.response.body", "body": b""})

    async def _chunks(self) -> AsyncIterator[bytes]:
        half = max(3, len(self._events) // 2)  # past the first content_block_start
        for event in self._events[: half if self._fault else len(self._events)]:
            yield _encode(event)
            if event["type"] == "ping":
                async for ping in self._pause():
                    yield ping
        if self._fault == "malformed":
            yield b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"del\n\n'

    async def _pause(self) -> AsyncIterator[bytes]:
        """Think for the turn's delay, with a sign of life every few seconds."""
        left = self._delay
        while left > 0:
            await asyncio.sleep(min(left, PING_SECONDS))
            left -= PING_SECONDS
            yield _encode({"type": "ping"})


def _encode(event: Event) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
