"""Anthropic's Messages API through its own SDK: one model turn, streamed."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self, cast

import anthropic
import httpx2
from anthropic import AsyncMessageStream, omit
from anthropic.types import Message as ApiMessage
from anthropic.types import MessageCountTokensToolParam, MessageParam, TextBlockParam, ToolUnionParam
from anthropic.types import Usage as ApiUsage
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gateways.anthropic.conversation import Block, Message, Usage, text_block
from gateways.anthropic.errors import MAX_MESSAGE_CHARS, ContextTooLong, TurnCut, map_error
from gateways.anthropic.model_profiles import Effort, thinking_parameters
from gateways.errors import CredentialRefused, UpstreamFailed
from kit.redaction import Redactor

__all__ = ["ContextTooLong", "MessagesClient", "Meter", "ToolCall", "Turn", "TurnCut", "TurnRequest"]

DEFAULT_BASE_URL: Final = "https://api.anthropic.com"
STREAM_TIMEOUT_SECONDS: Final = 300.0
"""A stream that sends nothing for so long, not even a ping, is dead."""
CACHE_CONTROL: Final[Block] = {"type": "ephemeral"}
ACCEPTED_FIELDS: Final = {
    "text": ("type", "text"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
    "tool_use": ("type", "id", "name", "input"),
}
"""Of each kind of block, the fields that the API takes back; it refuses those it only sends."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TurnRequest(_Frozen):
    """What to ask.  Messages and tools stay as they are stored; marks for the prompt cache are set here."""

    model: str
    system: tuple[str, ...] = ()
    messages: list[Message] = Field(min_length=1)
    tools: list[Block] = []
    thinking_effort: Effort | None = None
    max_tokens: int = Field(ge=1)


class ToolCall(_Frozen):
    id: str
    name: str
    input: dict[str, JsonValue]


class Turn(_Frozen):
    """A whole answer.  `stop_reason` is the API's word: `max_tokens` or `refusal` is no error here."""

    blocks: list[Block]
    """As they are stored and sent back next time, thinking with its signature included."""
    stop_reason: str
    usage: Usage
    model: str
    text: str
    tool_calls: list[ToolCall]
    dropped_calls: list[str]
    """Names of tools whose call was cut off half way; it is not in `blocks` and must not be executed."""


@dataclass
class Meter:
    """What a request has used so far, as the provider says when it begins to answer."""

    model: str | None = None
    usage: Usage | None = None
    on_usage: Callable[[], Awaitable[None]] | None = None
    """Called once the provider has begun to answer, when both are known: from then on it is paid for."""


class MessagesClient:
    """A client of the Messages API for one credential; close it, or use it as a context manager."""

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str | None = None,
        auth: Literal["key", "bearer"] = "key",
        silence_seconds: float = STREAM_TIMEOUT_SECONDS,
    ) -> None:
        """Raises CredentialRefused for what cannot be a key: it could not even be sent."""
        if not api_key.strip() or not api_key.isascii() or not api_key.isprintable():
            raise CredentialRefused("The model API key is empty, or holds characters that no key has.")
        self._redactor = Redactor([api_key])
        self._requests, self._is_retired = 0, False
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key if auth == "key" else None,
            auth_token=api_key if auth == "bearer" else None,
            base_url=base_url or DEFAULT_BASE_URL,
            max_retries=0,  # retrying is Temporal's
            timeout=httpx2.Timeout(silence_seconds, connect=min(10.0, silence_seconds)),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def close_when_idle(self) -> None:
        """Close as soon as no request is under way any more; nobody begins another one."""
        self._is_retired = True
        if not self._requests:
            await self.close()

    @asynccontextmanager
    async def _request(self) -> AsyncIterator[None]:
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            if self._is_retired and not self._requests:
                await self.close()

    async def ping(self) -> None:
        """Ask which models there are, which costs nothing.  Raises GatewayError when that fails."""
        try:
            await self._client.models.list(limit=1)
        except anthropic.APIStatusError as error:
            raise map_error(error, self._redactor) from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise UpstreamFailed(f"The model API cannot be reached ({type(error).__name__}).") from None

    async def count(self, request: TurnRequest) -> int:
        """About how many tokens the request has, by the provider's own count, which costs nothing.

        Raises what `turn` raises.
        """
        thinking, output_config = thinking_parameters(
            request.model, request.thinking_effort, request.max_tokens
        )
        system = [text_block(part) for part in request.system if part.strip()]
        try:
            counted = await self._client.messages.count_tokens(
                model=request.model,
                system=cast("list[TextBlockParam]", system) or omit,
                tools=cast("list[MessageCountTokensToolParam]", request.tools) or omit,
                messages=cast("list[MessageParam]", request.messages),
                thinking=thinking or omit,
                output_config=output_config or omit,
            )
        except anthropic.APIStatusError as error:
            raise map_error(error, self._redactor) from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise UpstreamFailed(f"The model API cannot be reached ({type(error).__name__}).") from None
        return counted.input_tokens

    async def turn(self, request: TurnRequest, meter: Meter | None = None) -> Turn:
        """Ask for one answer and wait until it is whole.

        meter: is told what the answer has cost as soon as that is known, also of one that never gets whole.
        Raises ProviderLimit, CredentialRefused, ContextTooLong, UpstreamRefused or TurnCut.
        When the caller is cancelled, the connection is closed before the cancellation goes on.
        """
        thinking, output_config = thinking_parameters(
            request.model, request.thinking_effort, request.max_tokens
        )
        system = [text_block(part) for part in request.system if part.strip()]
        asked = self._client.messages.stream(
            model=request.model,
            max_tokens=request.max_tokens,
            system=cast("list[TextBlockParam]", _mark_last(system)) or omit,
            tools=cast("list[ToolUnionParam]", _mark_last(request.tools)) or omit,
            messages=cast("list[MessageParam]", _mark_user_turns(request.messages)),
            thinking=thinking or omit,
            output_config=output_config or omit,
        )
        try:
            async with self._request(), asked as stream:
                return await self._read_stream(stream, meter)
        except anthropic.APIStatusError as error:
            raise map_error(error, self._redactor) from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            cause = repr(error.__cause__ or error)
            raise TurnCut(f"The connection to the model API failed: {self._redact(cause)}") from None

    async def _read_stream(self, stream: AsyncMessageStream[None], meter: Meter | None) -> Turn:
        """The turn, once its last event is there.

        The SDK does not check what it reads: an event out of order raises whatever comes of it.
        """
        inputs: defaultdict[int, str] = defaultdict(str)
        try:
            async for event in stream:
                if event.type == "message_start" and meter is not None:
                    meter.model, meter.usage = event.message.model, _to_usage(event.message.usage)
                    if meter.on_usage is not None:
                        await meter.on_usage()
                elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                    inputs[event.index] += event.delta.partial_json
                elif event.type == "message_stop":
                    if meter is not None:
                        meter.usage = _to_usage(event.message.usage)
                    return _to_turn(event.message, inputs)
        except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            raise TurnCut(f"The model's answer was malformed: {self._redact(repr(error))}") from None
        raise TurnCut("The model's answer ended before it was whole.")

    def _redact(self, text: str) -> str:
        return self._redactor.redact_text(text)[:MAX_MESSAGE_CHARS]


def _to_turn(message: ApiMessage, inputs: Mapping[int, str]) -> Turn:
    """The answer in our words; `inputs`: the tool inputs as they were streamed, by index of their block."""
    stop_reason = message.stop_reason
    if stop_reason is None:
        raise TurnCut("The model's answer ended without a reason.")
    blocks: list[Block] = []
    dropped_calls: list[str] = []
    for index, block in enumerate(message.content):
        if block.type == "tool_use" and not _is_complete(inputs.get(index, ""), stop_reason):
            dropped_calls.append(block.name)
        else:
            blocks.append(_to_stored_block(block.to_dict(mode="json", warnings=False)))
    return Turn(
        blocks=blocks,
        stop_reason=stop_reason,
        usage=_to_usage(message.usage),
        model=message.model,
        text="\n\n".join(str(block["text"]) for block in blocks if block["type"] == "text" and block["text"]),
        tool_calls=[_to_tool_call(block) for block in blocks if block["type"] == "tool_use"],
        dropped_calls=dropped_calls,
    )


def _to_tool_call(block: Block) -> ToolCall:
    return ToolCall.model_validate({field: block[field] for field in ToolCall.model_fields})


def _is_complete(input: str, stop_reason: str) -> bool:
    """Whether a tool's input arrived to its last brace; the SDK completes half of one without a word."""
    if stop_reason == "refusal" or not input:
        return stop_reason not in ("refusal", "max_tokens", "model_context_window_exceeded")
    try:
        return isinstance(json.loads(input), dict)
    except json.JSONDecodeError:
        return False


def _to_stored_block(block: dict[str, object]) -> Block:
    fields = ACCEPTED_FIELDS.get(str(block["type"]), tuple(block))
    return {field: cast("JsonValue", block[field]) for field in fields}


def _to_usage(usage: ApiUsage) -> Usage:
    written = usage.cache_creation_input_tokens or 0
    written_1h = usage.cache_creation.ephemeral_1h_input_tokens if usage.cache_creation else 0
    return Usage(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=usage.cache_read_input_tokens or 0,
        cache_write_5m=max(written - written_1h, 0),
        cache_write_1h=written_1h,
    )


def _mark_last(blocks: Sequence[Block]) -> list[Block]:
    """The same blocks, the last one marked: all that comes up to it is kept in the prompt cache."""
    return [*blocks[:-1], *({**block, "cache_control": CACHE_CONTROL} for block in blocks[-1:])]


def _mark_user_turns(messages: Sequence[Message]) -> list[Message]:
    """The last two user turns marked: the older finds what the last turn cached, the newer adds to it."""
    marked = [index for index, message in enumerate(messages) if message["role"] == "user"][-2:]
    return [
        {"role": message["role"], "content": _mark_last(message["content"])} if index in marked else message
        for index, message in enumerate(messages)
    ]
