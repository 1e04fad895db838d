"""What the scripted model refuses: what Anthropic would refuse, and scenarios that cannot be played."""

import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from anthropic.types import MessageParam, Model

from local.model.app import ScriptedModel
from local.model.model_ids import MODELS
from local.model.scenarios import BUILT_IN_SCENARIOS, ScenarioError, load

KEY = "test-key-of-the-scripted-model"
HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
MODEL = "claude-sonnet-5-5"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(ScriptedModel(KEY, load([BUILT_IN_SCENARIOS])).app())
    async with httpx.AsyncClient(transport=transport, base_url="http://model", headers=HEADERS) as client:
        yield client


def test_it_knows_the_models_that_the_sdk_knows() -> None:
    assert get_args(get_args(Model)[0]) == MODELS


def said(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


USE: MessageParam = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}}],
}
RESULT: MessageParam = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}],
}
ALTERED: MessageParam = {
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "mine", "signature": "made up"},
        {"type": "text", "text": "x"},
    ],
}


def shown(media_type: str, image: bytes, /, **more: str) -> list[MessageParam]:
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(image).decode(), **more}
    block: Any = {"type": "image", "source": source}
    return [{"role": "user", "content": [block, {"type": "text", "text": "Look"}]}]


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        (shown("image/svg+xml", PNG), "media_type: Input should be"),
        (shown("image/png", PNG, data="no base64!"), "valid base64"),
        (shown("image/gif", PNG), "does not match its media type"),
        (shown("image/png", PNG + b"0" * 6_000_000), "exceeds 5 MB"),
        (shown("image/png", PNG, type="url"), "Field required"),
        ([], "at least one message"),
        ([{"role": "assistant", "content": "hello"}], "first message must use"),
        ([{"role": "user", "content": ""}], "non-empty content"),
        ([{"role": "user", "content": [{"type": "text", "text": ""}]}], "must be non-empty"),
        ([{"role": "robot", "content": "hello"}], "messages.0.role"),
        ([*said("x"), {"role": "assistant", "content": "I would"}], "prefill"),
        ([*said("x"), RESULT], "unexpected `tool_use_id`"),
        ([*said("x"), USE, *said("y")], "without `tool_result` blocks immediately after: toolu_1"),
        ([*said("x"), USE, RESULT, USE, RESULT], "must be unique"),
        ([*said("x"), USE, RESULT, RESULT], "single result"),
        ([*said("x"), ALTERED, *said("y")], "Invalid `signature`"),
    ],
)
async def test_a_broken_conversation_is_refused(
    http: httpx.AsyncClient, messages: list[MessageParam], complaint: str
) -> None:
    answer = await http.post("/v1/messages", json={"model": MODEL, "max_tokens": 100, "messages": messages})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert complaint in answer.json()["error"]["message"]
    assert answer.json()["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
        ({"tools": [{"name": "a", "input_schema": {}}]}, "tools.0.custom.input_schema.type"),
        ({"tools": [{"type": "bash_20250124", "name": "shell"}]}, "no tool of type 'bash_20250124'"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}] * 2}, "Tool names must be unique"),
        ({"tool_choice": {"type": "tool", "name": "bash"}}, "Tool 'bash' not found"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to 1024"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "must be greater than `thinking.budget_tokens`",
        ),
        ({"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5}, "Found 5"),
    ],
)
async def test_a_broken_option_is_refused(
    http: httpx.AsyncClient, changes: dict[str, object], complaint: str
) -> None:
    body = {"model": MODEL, "max_tokens": 100, "messages": said("x"), **changes}
    answer = await http.post("/v1/messages", json=body)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]


async def test_the_missing_field_is_named(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/messages", json={"model": MODEL, "messages": said("x")})
    assert answer.json()["error"] == {
        "type": "invalid_request_error",
        "message": "max_tokens: Field required",
    }


async def test_consecutive_messages_of_one_role_are_combined(http: httpx.AsyncClient) -> None:
    messages = [*said("x"), USE, RESULT, *said("and by the way")]
    answer = await http.post("/v1/messages", json={"model": MODEL, "max_tokens": 100, "messages": messages})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("key", [{}, {"x-api-key": "wrong"}, {"authorization": "Bearer wrong"}])
async def test_every_path_but_health_needs_the_key(http: httpx.AsyncClient, key: dict[str, str]) -> None:
    http.headers = httpx.Headers(key)
    assert (await http.get("/health")).status_code == 204
    for path in ("/v1/models", "/v1/models/x"):
        assert (await http.get(path)).status_code == 401
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        assert (await http.post(path, json={})).status_code == 401


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("{", "not JSON"),
        ('{"name": "x", "turns": []}', "turns: Tuple should have at least 1 item"),
        ('{"name": "x", "turns": [{"text": "{{session}}"}]}', "{{session}} is not known here"),
        (
            '{"name": "x", "when": {"role": "("}, "turns": [{}]}',
            "when.role: Value error, not a regular expression",
        ),
        ('{"name": "x", "turns": [{"faults": ["explode"]}]}', "turns.0.faults.0"),
    ],
)
def test_a_broken_scenario_file_is_explained(tmp_path: Path, written: str, complaint: str) -> None:
    (tmp_path / "broken.json").write_text(written)
    with pytest.raises(ScenarioError) as refused:
        load([tmp_path])
    assert str(refused.value).startswith(f"{tmp_path}/broken.json: ")
    assert complaint in str(refused.value)


def test_a_broken_scenario_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    command = [sys.executable, "-m", "local.model", "--port", "1", "--scenarios", str(tmp_path)]
    environment = {**os.environ, "ANTHROPIC_API_KEY": KEY}
    started = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert started.returncode == 1
    assert started.stderr.startswith(f"{tmp_path}/broken.json: not JSON")
