"""The agent's parts together against the scripted model, which enforces the rules of the Messages API."""

from collections.abc import AsyncIterator, Iterator

import pytest

from gateways.anthropic.client import MessagesClient, Turn, TurnCut, TurnRequest
from gateways.anthropic.conversation import (
    AssistantTurn,
    Compaction,
    Entry,
    ToolResult,
    UserText,
    assemble,
    compact_messages,
    compaction_point,
    estimate_tokens,
    summary_request,
)
from gateways.errors import CredentialRefused, GatewayError, ProviderLimit, UpstreamRefused
from gateways.tools.definitions import ToolRequest, definitions, parse
from gateways.tools.finish_schemas import Finish
from models.agent.session_kind import SessionKind
from tests.support.server_process import run_scripted_model

KEY = "key-of-the-scripted-model"
LS = {"name": "bash", "input": {"command": "ls"}}
SCENARIOS = [
    {
        "name": "work",
        "when": {"prompt": "^work"},
        "turns": [
            {"repeat": 6, "thinking": "Look around.", "text": "Looking.", "toolCalls": [LS, LS]},
            {"toolCalls": [{"name": "finish", "input": {"summary": "All done."}}]},
        ],
    },
    {"name": "summary", "when": {"prompt": "^<record>"}, "turns": [{"text": "In short: looked six times."}]},
    {
        "name": "faults",
        "when": {"prompt": "^faults"},
        "turns": [
            {
                "text": "Long enough to be sent in more than one piece, so that it can be cut in two.",
                "toolCalls": [{"name": "bash", "input": {"command": "echo a command that comes in pieces"}}],
                "faults": [
                    {"status": 429, "retryAfter": 3},
                    {"status": 529},
                    {"status": 500},
                    "cut",
                    "truncated",
                    "malformed",
                    "refusal",
                    "maxTokens",
                ],
            }
        ],
    },
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_scripted_model(tmp_path_factory.mktemp("scenarios"), KEY, SCENARIOS) as url:
        yield url


@pytest.fixture
async def agent(url: str) -> AsyncIterator[MessagesClient]:
    async with MessagesClient(KEY, base_url=url) as agent:
        yield agent


async def ask(agent: MessagesClient, rows: list[Entry], model: str = "claude-sonnet-5-5") -> Turn:
    request = TurnRequest(
        model=model,
        system=("Role: worker", "You write software."),
        messages=assemble(rows),
        tools=definitions(SessionKind.worker),
        thinking_effort="high",
        max_tokens=8_000,
    )
    return await agent.turn(request)


async def work(
    agent: MessagesClient, rows: list[Entry], model: str = "claude-sonnet-5-5"
) -> tuple[list[Entry], Finish]:
    """Ask and answer until the model finishes: the rows of the whole session, and how it ended."""
    for _ in range(20):
        turn = await ask(agent, rows, model)
        rows = [*rows, AssistantTurn(blocks=tuple(turn.blocks))]
        for call in turn.tool_calls:
            asked = parse(SessionKind.worker, call.name, call.input)
            if isinstance(asked, Finish):
                return rows, asked
            assert isinstance(asked, ToolRequest)
            rows = [*rows, ToolResult(tool_use_id=call.id, content=f"{asked.wire()}\n" + "a.py\n" * 100)]
    raise AssertionError("the session did not end")


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-haiku-4-5"])
async def test_a_session_from_the_first_turn_to_the_last(agent: MessagesClient, model: str) -> None:
    rows, finish = await work(agent, [UserText(text="work")], model)
    assert finish == Finish(summary="All done.")
    turns = [row for row in rows if isinstance(row, AssistantTurn)]
    assert len(turns) == 7
    assert all(turn.blocks[0]["type"] == "thinking" for turn in turns[:6])


async def test_the_prompt_cache_is_read_from_the_second_turn_on(agent: MessagesClient) -> None:
    rows: list[Entry] = [UserText(text="work with a cache " + "and much to read " * 2_000)]
    first = await ask(agent, rows)
    assert first.usage.cache_write_5m > 0
    rows += [AssistantTurn(blocks=tuple(first.blocks))]
    rows += [ToolResult(tool_use_id=call.id, content="a.py") for call in first.tool_calls]
    second = await ask(agent, rows)
    assert second.usage.cache_read >= first.usage.cache_write_5m
    assert second.usage.input < 50


async def test_a_session_goes_on_after_compaction(agent: MessagesClient) -> None:
    rows, _ = await work(agent, [UserText(text="work and compact")])
    messages = assemble(rows[:-1])
    point = compaction_point(messages, 400, summary_tokens=100)
    assert point is not None
    request = TurnRequest(
        model="claude-sonnet-5-5", messages=summary_request(messages, point), max_tokens=16_000
    )
    summary = await agent.turn(request)
    assert summary.stop_reason == "end_turn"
    shorter = compact_messages(messages, point, summary.text)
    assert shorter is not None
    assert estimate_tokens(shorter) < estimate_tokens(messages) / 2
    going_on: list[Entry] = [*rows[:-1], Compaction(point=point, summary=summary.text)]
    assert assemble(going_on) == shorter
    _, finish = await work(agent, going_on)
    assert finish.summary == "All done."


async def test_every_fault_has_its_name_and_the_turn_is_whole_at_last(agent: MessagesClient) -> None:
    rows: list[Entry] = [UserText(text="faults")]
    failed: list[GatewayError] = []
    for _ in range(6):
        with pytest.raises(GatewayError) as error:
            await ask(agent, rows)
        failed.append(error.value)
    assert [type(error) for error in failed] == [ProviderLimit, ProviderLimit, *[TurnCut] * 4]
    assert [error.retry_after for error in failed if isinstance(error, ProviderLimit)] == [3.0, None]
    assert (await ask(agent, rows)).stop_reason == "refusal"
    cut = await ask(agent, rows)
    assert (cut.stop_reason, cut.tool_calls, cut.dropped_calls) == ("max_tokens", [], ["bash"])
    whole = await ask(agent, rows)
    assert whole.tool_calls[0].input == {"command": "echo a command that comes in pieces"}


async def test_refusals_of_the_api(agent: MessagesClient, url: str) -> None:
    with pytest.raises(UpstreamRefused, match="model: claude-nine"):
        await ask(agent, [UserText(text="work")], "claude-nine")
    async with MessagesClient("another-key-altogether", base_url=url) as stranger:
        with pytest.raises(CredentialRefused) as refused:
            await ask(stranger, [UserText(text="work")])
    assert "another-key" not in refused.value.message
