"""Sandboxes, their events, and the conversations in them."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from kit.database import Database
from models import AgentSession, Message, RunStep, Sandbox, SandboxEvent, ToolCall
from models.agent.session import MessageRole, turn_sequence
from models.agent.session_kind import SessionKind
from models.base import JsonObject, now
from models.blueprints.persona import StepRole, ThinkingEffort
from models.sandboxes.sandbox import SandboxEventType, SandboxStatus
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient


@dataclass
class Talk:
    run_id: str
    sandbox_id: str
    session_ids: list[str]


@pytest.fixture
async def talk(
    client: httpx.AsyncClient, run_body: dict[str, str], project: ProjectKey, database: Database
) -> Talk:
    """A run with a sandbox in which two agents spoke one after the other."""
    run_id = str((await client.post("/runs/start", json=run_body)).json()["data"]["id"])
    shared: dict[str, Any] = {"model": "m", "thinking_effort": ThinkingEffort.low}
    sandbox = Sandbox(project_id=project.id, job_id=run_id, name="s", template_id="base", timeout_ms=1000)
    sandbox.provider_id, sandbox.status, sandbox.started_at = "provider", SandboxStatus.running, now()
    rows: list[Any] = [sandbox]
    kinds = (SandboxEventType.sandbox_create, SandboxEventType.clone, SandboxEventType.agent_cli)
    rows += [
        SandboxEvent(sandbox_id=sandbox.id, type=kind, status="completed", message="ok") for kind in kinds
    ]
    sessions = []
    for index in range(2):
        step = RunStep(
            project_id=project.id,
            run_id=run_id,
            index=index,
            iteration=1,
            role=StepRole.designer,
            label="Design",
            **shared,
        )
        session = AgentSession(
            project_id=project.id,
            job_id=run_id,
            step_id=step.id,
            sandbox_id=sandbox.id,
            system="s",
            max_turns=5,
            kind=SessionKind.worker,
            label="Design",
            **shared,
        )
        sessions.append(session.id)
        asked: JsonObject = {"type": "text", "text": "Do it"}
        said: list[JsonObject] = [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "First"},
            {"type": "tool_use", "id": "t1", "name": "bash", "input": {"command": "ls"}},
            {"type": "text", "text": "Second"},
        ]
        place = turn_sequence(1)
        rows += [
            step,
            session,
            Message(session_id=session.id, sequence=0, role=MessageRole.user, content=[asked]),
            Message(session_id=session.id, sequence=place, role=MessageRole.assistant, content=said),
            ToolCall(
                session_id=session.id,
                sequence=place,
                tool_use_id="t1",
                name="bash",
                result="README",
                is_error=False,
                duration_ms=3,
            ),
        ]
    async with database.transaction() as connection:
        for row in rows:
            connection.add(row)
            await connection.flush()
    return Talk(run_id, sandbox.id, sessions)


async def rows(client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_sandboxes_are_found(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, talk: Talk
) -> None:
    [sandbox] = await rows(client, "/sandboxes/list", runId=talk.run_id)
    assert (sandbox["id"], sandbox["_id"], sandbox["status"]) == (talk.sandbox_id, talk.sandbox_id, "running")
    assert await rows(client, "/sandboxes", status="running") == [sandbox]
    assert await rows(client, "/sandboxes/list", status="killed") == []
    assert await rows(client, "/sandboxes/list", runId="r_" + "0" * 32) == []
    assert await rows(stranger, "/sandboxes/list", runId=talk.run_id) == []
    found = await client.get("/sandboxes/get", params={"id": talk.sandbox_id})
    assert found.json()["data"] == sandbox
    for path in ("get", "events", "messages"):
        assert (await stranger.get(f"/sandboxes/{path}", params={"id": talk.sandbox_id})).status_code == 404


async def test_events_in_both_orders(client: httpx.AsyncClient, talk: Talk) -> None:
    kinds = ["sandbox-create", "clone", "agent-cli"]
    ascending = await rows(client, "/sandboxes/events", id=talk.sandbox_id)
    assert [event["type"] for event in ascending] == kinds
    descending = await rows(client, "/sandboxes/events", id=talk.sandbox_id, order="desc")
    assert descending == ascending[::-1]
    refused = await client.get("/sandboxes/events", params={"id": talk.sandbox_id, "order": "random"})
    assert refused.json()["error"]["field"] == "order"


async def test_the_whole_conversation_can_be_read(client: httpx.AsyncClient, talk: Talk) -> None:
    messages = await rows(client, "/sandboxes/messages", id=talk.sandbox_id)
    assert [message["sessionId"] for message in messages] == [
        talk.session_ids[index // 2] for index in range(4)
    ]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    user, assistant = messages[:2]
    assert (user["content"], assistant["content"]) == ("Do it", "First\n\nSecond")
    for message in messages:
        assert message["status"] == "completed"
        assert message["timestamp"] == message["completedAt"] >= message["startedAt"]
    told = assistant["transcriptEvents"]
    assert [event["seq"] for event in told] == [0, 1, 2, 3, 4]
    kinds = [event["payload"]["type"] for event in told]
    assert kinds == ["thinking", "text", "tool_use", "text", "tool_result"]
    assert (told[4]["payload"]["tool_use_id"], told[4]["payload"]["content"]) == ("t1", "README")


async def test_the_conversation_in_pages_and_in_brief(client: httpx.AsyncClient, talk: Talk) -> None:
    whole = await rows(client, "/sandboxes/messages", id=talk.sandbox_id)
    first = (await client.get("/sandboxes/messages", params={"id": talk.sandbox_id, "limit": 3})).json()
    more = {"id": talk.sandbox_id, "limit": 3, "cursor": first["nextCursor"]}
    rest = (await client.get("/sandboxes/messages", params=more)).json()
    assert first["data"] + rest["data"] == whole
    backwards = await rows(client, "/sandboxes/messages", id=talk.sandbox_id, order="desc")
    assert backwards == whole[::-1]
    brief = await rows(client, "/sandboxes/messages", id=talk.sandbox_id, includeTranscriptEvents="false")
    assert brief == [{**message, "transcriptEvents": []} for message in whole]


async def test_the_steps_of_a_run(client: httpx.AsyncClient, talk: Talk) -> None:
    detail = (await client.get("/runs/detail", params={"id": talk.run_id})).json()["data"]
    assert [(step["index"], step["role"], step["status"]) for step in detail["steps"]] == [
        (0, "designer", "running"),
        (1, "designer", "running"),
    ]
    assert all(step["id"] == step["_id"] for step in detail["steps"])


async def test_they_are_as_documented(client: httpx.AsyncClient, talk: Talk) -> None:
    call = ContractClient(client)
    for operation in ("getSandbox", "listSandboxEvents", "listSandboxMessages"):
        assert await call(operation, id=talk.sandbox_id)
    assert await call("listSandboxes", runId=talk.run_id)
    assert await call("getRunDetail", id=talk.run_id)
