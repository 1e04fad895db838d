"""The scripted model, spoken to by the real `anthropic` SDK."""

import json
import time
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from anthropic import (
    AsyncAnthropic,
    AuthenticationError,
    InternalServerError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
)
from anthropic.types import Message, MessageParam, TextBlockParam, ToolResultBlockParam, ToolUnionParam

from tests.support.server_process import run_scripted_model

KEY = "test-key-of-the-scripted-model"
MODEL = "claude-sonnet-5-5"
TOOLS: list[ToolUnionParam] = [
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    {"name": "finish", "input_schema": {"type": "object", "properties": {"summary": {"type": "string"}}}},
]
SCENARIOS = {
    "10-greeting": {
        "name": "greeting",
        "when": {"role": "^designer$", "prompt": "greet"},
        "turns": [
            {
                "thinking": "Two things at once.",
                "text": "Working on {{slug}}.",
                "toolCalls": [
                    {"name": "bash", "input": {"command": "ls"}},
                    {"name": "bash", "input": {"command": "cat '{{slug}}'"}},
                ],
            },
            {"text": "Done: {{task}}"},
        ],
    },
    "20-faults": {
        "name": "faults",
        "when": {"prompt": "^fault "},
        "turns": [
            {
                "text": "Long enough to be sent in more than one piece, so that it can be cut in two.",
                "toolCalls": [
                    {"name": "bash", "input": {"command": "echo a command that comes in pieces, too"}}
                ],
                "faults": [
                    {"status": 429, "retryAfter": 1},
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
    "30-slow": {"name": "slow", "when": {"prompt": "^slow "}, "turns": [{"text": "x", "delayMs": 300}]},
    "40-long": {
        "name": "long",
        "when": {"prompt": "^long "},
        "turns": [
            {"repeat": 3, "toolCalls": [{"name": "bash", "input": {"command": "true"}}]},
            {"text": "The end."},
        ],
    },
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_scripted_model(tmp_path_factory.mktemp("scenarios"), KEY, SCENARIOS.values()) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0) as client:
        yield client


async def ask(
    client: AsyncAnthropic, messages: list[MessageParam], role: str = "designer", model: str = MODEL
) -> Message:
    async with client.messages.stream(
        model=model,
        max_tokens=4000,
        system=f"Role: {role}\nYou write software.",
        messages=messages,
        tools=TOOLS,
        thinking={"type": "adaptive"},
    ) as stream:
        return await stream.get_final_message()


def said(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


def with_results(messages: list[MessageParam], reply: Message) -> list[MessageParam]:
    """The conversation after the reply's tools ran."""
    results: list[ToolResultBlockParam] = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "ok"}
        for block in reply.content
        if block.type == "tool_use"
    ]
    return [*messages, {"role": "assistant", "content": reply.content}, {"role": "user", "content": results}]


async def test_plays_a_scenario_turn_by_turn(client: AsyncAnthropic) -> None:
    messages = said("Please greet the world")
    first = await ask(client, messages)
    assert [block.type for block in first.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert first.model == MODEL
    assert first.stop_reason == "tool_use"
    assert first.content[1].type == "text"
    assert first.content[1].text == "[scripted model] Working on please-greet-the-world."
    assert first.content[3].type == "tool_use"
    assert first.content[3].input == {"command": "cat 'please-greet-the-world'"}
    assert await ask(client, messages) == first, "a repeated request gets the same answer"

    last = await ask(client, with_results(messages, first))
    assert last.stop_reason == "end_turn"
    assert last.content[0].type == "text"
    assert last.content[0].text == "[scripted model] Done: Please greet the world"


async def test_tool_use_ids_differ_between_conversations_and_turns(client: AsyncAnthropic) -> None:
    messages = said("long one")
    ids: list[str] = []
    for _ in range(3):
        reply = await ask(client, messages)
        ids += [block.id for block in reply.content if block.type == "tool_use"]
        messages = with_results(messages, reply)
    assert (await ask(client, messages)).stop_reason == "end_turn"
    other = await ask(client, said("long two"))
    ids += [block.id for block in other.content if block.type == "tool_use"]
    assert len(set(ids)) == 4
    assert all(use_id.startswith("toolu_") for use_id in ids)


async def test_every_fault_shows_as_the_sdk_shows_it(client: AsyncAnthropic) -> None:
    messages = said("fault parade")
    with pytest.raises(RateLimitError) as limited:
        await ask(client, messages)
    assert limited.value.response.headers["retry-after"] == "1"
    with pytest.raises(OverloadedError):
        await ask(client, messages)
    with pytest.raises(InternalServerError):
        await ask(client, messages)
    with pytest.raises(httpx2.RemoteProtocolError):
        await ask(client, messages)
    truncated = await ask(client, messages)
    assert truncated.stop_reason is None
    with pytest.raises(json.JSONDecodeError):
        await ask(client, messages)
    assert (await ask(client, messages)).stop_reason == "refusal"
    cut_short = await ask(client, messages)
    assert cut_short.stop_reason == "max_tokens"
    whole = await ask(client, messages)
    assert whole.stop_reason == "tool_use"
    assert whole.content[-1] != cut_short.content[-1]


async def test_a_slow_turn_takes_its_time(client: AsyncAnthropic) -> None:
    started = time.monotonic()
    await ask(client, said("slow please"))
    assert time.monotonic() - started >= 0.3


async def test_whole_answers_counting_and_models(client: AsyncAnthropic) -> None:
    whole = await client.messages.create(model=MODEL, max_tokens=100, messages=said("hello"))
    assert whole.content[0].type == "text"
    assert whole.content[0].text.startswith("[scripted model]")
    counted = await client.messages.count_tokens(model=MODEL, messages=said("hello " * 400))
    assert 500 < counted.input_tokens < 700
    assert MODEL in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve(MODEL)).line == "sonnet"


async def test_the_cache_reads_what_an_earlier_mark_kept(client: AsyncAnthropic) -> None:
    async def usage(*texts: str) -> tuple[int, int, int]:
        blocks: list[TextBlockParam] = [{"type": "text", "text": text} for text in texts]
        blocks[-1]["cache_control"] = {"type": "ephemeral"}
        system: list[TextBlockParam] = [{"type": "text", "text": "cached " * 100}]
        reply = await client.messages.create(
            model=MODEL, max_tokens=100, system=system, messages=[{"role": "user", "content": blocks}]
        )
        counts = reply.usage
        return (
            counts.input_tokens,
            counts.cache_read_input_tokens or 0,
            counts.cache_creation_input_tokens or 0,
        )

    fresh, read, created = await usage("one " * 100)
    assert (fresh, read) == (0, 0)
    assert created > 200
    assert await usage("one " * 100) == (0, created, 0)
    fresh, read, grown = await usage("one " * 100, "two " * 100)
    assert (fresh, read) == (0, created)
    assert grown > 100


async def test_a_wrong_key_and_a_wrong_model(client: AsyncAnthropic, url: str) -> None:
    async with AsyncAnthropic(api_key="wrong", base_url=url, max_retries=0) as stranger:
        with pytest.raises(AuthenticationError, match="invalid x-api-key"):
            await ask(stranger, said("hello"))
    with pytest.raises(NotFoundError, match="claude-2"):
        await ask(client, said("hello"), model="claude-2")


@pytest.mark.parametrize("role", ["designer", "checker", "evaluator", "answerer"])
async def test_any_role_and_prompt_gets_small_honest_work(client: AsyncAnthropic, role: str) -> None:
    messages = said("Something that nobody has written a script for")
    for _ in range(4):
        reply = await ask(client, messages, role)
        finished = [block for block in reply.content if block.type == "tool_use" and block.name == "finish"]
        if finished:
            break
        messages = with_results(messages, reply)
    [finish] = finished
    assert "[scripted model]" in str(finish.input)
    assert ("verdict" in str(finish.input)) == (role == "checker")
    assert ("score" in str(finish.input)) == (role == "evaluator")
