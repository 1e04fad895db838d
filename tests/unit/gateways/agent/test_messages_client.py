"""One model turn by the real SDK over real HTTP: what is sent, what comes back, how long it may take."""

import asyncio
import copy
from typing import Literal

import pytest
from pydantic import ValidationError

from gateways.anthropic.client import MessagesClient, ToolCall, Turn, TurnCut, TurnRequest
from gateways.anthropic.conversation import (
    AssistantTurn,
    Block,
    Message,
    ToolResult,
    Usage,
    UserText,
    assemble,
)
from gateways.errors import CredentialRefused
from gateways.tools.definitions import definitions
from models.agent.session_kind import SessionKind
from tests.support.wire_server import (
    START,
    Event,
    WireServer,
    run_wire_server,
    stop_events,
    stream,
    text_block,
    thinking_block,
    tool_use_block,
)

KEY = "sk-ant-test-0123456789"
HELLO: list[Message] = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]


def request(**changes: object) -> TurnRequest:
    asked = {"model": "claude-sonnet-5-5", "messages": HELLO, "max_tokens": 5_000, **changes}
    return TurnRequest.model_validate(asked)


async def ask(
    wire: WireServer, asked: TurnRequest | None = None, *, silence_seconds: float = 5.0, key: str = KEY
) -> Turn:
    async with MessagesClient(key, base_url=wire.address, silence_seconds=silence_seconds) as agent:
        return await agent.turn(asked or request())


def marks(wire: WireServer) -> list[object]:
    """The blocks of the last request that carry a mark for the prompt cache."""
    body = wire.bodies[-1]
    messages = body["messages"]
    assert isinstance(messages, list)
    parts = [
        body.get("tools", []),
        body.get("system", []),
        *(m["content"] for m in messages if isinstance(m, dict)),
    ]
    return [item for part in parts if isinstance(part, list) for item in part if "cache_control" in str(item)]


async def test_a_whole_turn() -> None:
    events: list[Event] = [
        START,
        {"type": "ping"},
        *thinking_block(0, "Let me ", "look."),
        *text_block(1, "Look", "ing."),
        *tool_use_block(2, "bash", "", '{"comm', 'and": "ls"}'),
        *tool_use_block(3, "bash", ""),
        *stop_events("tool_use"),
    ]
    async with run_wire_server(stream(*events)) as wire:
        turn = await ask(wire)
    assert turn == Turn(
        blocks=[
            {"type": "thinking", "thinking": "Let me look.", "signature": "c2lnbmVk"},
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "toolu_2", "name": "bash", "input": {"command": "ls"}},
            {"type": "tool_use", "id": "toolu_3", "name": "bash", "input": {}},
        ],
        stop_reason="tool_use",
        usage=Usage(input=11, output=42, cache_read=700, cache_write_5m=60, cache_write_1h=30),
        model="claude-sonnet-5-5",
        text="Looking.",
        tool_calls=[
            ToolCall(id="toolu_2", name="bash", input={"command": "ls"}),
            ToolCall(id="toolu_3", name="bash", input={}),
        ],
        dropped_calls=[],
    )
    assert Turn.model_validate_json(turn.model_dump_json()) == turn


async def test_what_is_sent_is_marked_for_the_cache_and_what_is_stored_stays_clean() -> None:
    rows = [
        UserText(text="task"),
        *(
            row
            for number in range(3)
            for row in (
                AssistantTurn(
                    blocks=(
                        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                        {"type": "tool_use", "id": f"t{number}", "name": "bash", "input": {"command": "ls"}},
                    )
                ),
                ToolResult(tool_use_id=f"t{number}", content="a.py"),
            )
        ),
    ]
    asked = request(
        system=["You are careful.", " ", "The repository is in /repo."],
        messages=assemble(rows),
        tools=definitions(SessionKind.worker),
        thinking_effort="max",
    )
    stored = copy.deepcopy(asked)
    async with run_wire_server(stream(START, *text_block(0, "Done."), *stop_events("end_turn"))) as wire:
        await ask(wire, asked)
    assert asked == stored
    body = wire.bodies[0]
    assert body["stream"] is True
    assert body["max_tokens"] == 5_000
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "max"}
    tools, system, older, newer = marks(wire)
    assert isinstance(tools, dict)
    assert tools["name"] == "finish"
    mark = {"cache_control": {"type": "ephemeral"}}
    assert system == {"type": "text", "text": "The repository is in /repo."} | mark
    assert older == {"type": "tool_result", "tool_use_id": "t1", "content": "a.py"} | mark
    assert newer == {"type": "tool_result", "tool_use_id": "t2", "content": "a.py"} | mark
    messages = body["messages"]
    assert isinstance(messages, list)
    assert messages[5] == stored.messages[5], "thinking goes back as it came"


async def test_nothing_is_sent_that_was_not_asked_for() -> None:
    async with run_wire_server(stream(START, *text_block(0, "Hi."), *stop_events("end_turn"))) as wire:
        await ask(wire)
    assert set(wire.bodies[0]) == {"model", "max_tokens", "messages", "stream"}
    assert len(marks(wire)) == 1
    assert wire.headers[0]["x-stainless-retry-count"] == "0"


@pytest.mark.parametrize("auth", ["key", "bearer"])
async def test_the_credential_is_sent_and_the_environment_is_not_asked(
    auth: Literal["key", "bearer"], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "somebody-else")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    async with run_wire_server(stream(START, *text_block(0, "Hi."), *stop_events("end_turn"))) as wire:
        async with MessagesClient(KEY, base_url=wire.address, auth=auth) as agent:
            await agent.turn(request())
        sent = wire.headers[0]
    assert sent.get("x-api-key", sent.get("authorization")) in (KEY, f"Bearer {KEY}")
    assert "somebody-else" not in str(sent)


@pytest.mark.parametrize("key", ["", "  ", "sk-ant-\n0123456789", "sk-ant-“0123456789”"])
def test_what_cannot_be_a_key_is_refused_before_it_is_sent(key: str) -> None:
    with pytest.raises(CredentialRefused) as refused:
        MessagesClient(key)
    assert "0123456789" not in str(refused.value)


HALF = '{"command": "rm -rf /tmp/scratch'


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
@pytest.mark.parametrize("pieces", [["", HALF], [""], []])
async def test_a_call_cut_off_half_way_is_never_executed(reason: str, pieces: list[str]) -> None:
    whole = tool_use_block(1, "bash", '{"command":', ' "ls"}')
    events = [
        START,
        *thinking_block(0, "hm"),
        *whole,
        *tool_use_block(2, "search", *pieces),
        *stop_events(reason),
    ]
    async with run_wire_server(stream(*events)) as wire:
        turn = await ask(wire)
    assert turn.stop_reason == reason
    assert [call.input for call in turn.tool_calls] == [{"command": "ls"}]
    assert turn.dropped_calls == ["search"]
    assert [item["type"] for item in turn.blocks] == ["thinking", "tool_use"]


async def test_a_refusal_is_data_and_its_calls_are_dropped() -> None:
    events = [
        START,
        *text_block(0, "I"),
        *tool_use_block(1, "bash", '{"command": "ls"}'),
        *stop_events("refusal"),
    ]
    async with run_wire_server(stream(*events)) as wire:
        turn = await ask(wire)
    assert (turn.stop_reason, turn.tool_calls, turn.dropped_calls) == ("refusal", [], ["bash"])
    assert turn.text == "I"


@pytest.mark.parametrize("reason", ["end_turn", "pause_turn"])
async def test_an_empty_answer_is_a_turn_like_any_other(reason: str) -> None:
    async with run_wire_server(stream(START, *stop_events(reason, 3))) as wire:
        turn = await ask(wire)
    assert (turn.blocks, turn.text, turn.stop_reason, turn.usage.output) == ([], "", reason, 3)


async def test_hidden_thoughts_are_kept_whole() -> None:
    hidden: Block = {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"}
    start: Event = {"type": "content_block_start", "index": 0, "content_block": hidden}
    ended: Event = {"type": "content_block_stop", "index": 0}
    events = [
        START,
        start,
        ended,
        *thinking_block(1, signature="b25seQ=="),
        *text_block(2, "So."),
        *stop_events("end_turn"),
    ]
    async with run_wire_server(stream(*events)) as wire:
        turn = await ask(wire)
    assert turn.blocks[:2] == [hidden, {"type": "thinking", "thinking": "", "signature": "b25seQ=="}]


async def test_a_stream_that_stays_silent_is_dead() -> None:
    async with run_wire_server(stream(START, 30.0)) as wire:
        with pytest.raises(TurnCut, match="ReadTimeout"):
            await ask(wire, silence_seconds=1.0)


async def test_cancellation_closes_the_connection_promptly() -> None:
    answer = stream(START, *text_block(0, "one"), 30.0)
    async with run_wire_server(answer) as wire, MessagesClient(KEY, base_url=wire.address) as agent:
        asking = asyncio.create_task(agent.turn(request()))
        while not wire.bodies:
            await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(wire.gone.wait(), 25)


def test_a_request_without_messages_is_refused_at_once() -> None:
    with pytest.raises(ValidationError, match="messages"):
        request(messages=[])
