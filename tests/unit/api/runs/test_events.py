"""A run's log as a stream: from any point, live, never losing or repeating an event, and free when left."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import delete
from sqlmodel import col

from api.realtime.event_stream import StreamRegistry
from kit.database import Database
from kit.settings import Settings
from local.stack.postgres import Postgres
from models import Run
from models.event import Event, EventType, append_event
from models.runs.run import RunStatus
from models.runs.run_completion import publish_completion
from tests.conftest import ProjectKey
from tests.support.uvicorn_server import run_app
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until
from tests.unit.api.conftest import client_of, running

Chunk = dict[str, Any]


@pytest.fixture
async def served(app: FastAPI) -> AsyncIterator[str]:
    async with run_app(app) as url:
        yield url


@pytest.fixture
async def streaming(served: str, project: ProjectKey) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"{served}/api/v1", headers=project.headers, timeout=TEST_TIMEOUT_SECONDS
    ) as client:
        yield client


@pytest.fixture
async def run_id(client: httpx.AsyncClient, run_body: dict[str, str]) -> str:
    """A run with two events."""
    return str((await client.post("/runs/start", json=run_body)).json()["data"]["id"])


async def happen(database: Database, run_id: str, *kinds: EventType) -> None:
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id, with_for_update=True)
        for kind in kinds:
            append_event(session, run, kind, {"text": "ä\nb"})


async def end(database: Database, run_id: str) -> None:
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id, with_for_update=True)
        run.close(RunStatus.completed)
        await publish_completion(session, run)


async def chunks(response: httpx.Response) -> AsyncIterator[Chunk]:
    """Events of a stream, and comments as `{"comment": …}`."""
    event: Chunk = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            yield {"comment": line[1:].strip()}
        elif line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            if "data" in event:
                yield {**event, "data": json.loads(event["data"])}
            event = {}


async def read(client: httpx.AsyncClient, run_id: str, query: str = "", **headers: str) -> list[Chunk]:
    """All events of a stream that ends."""
    async with client.stream("GET", f"/runs/{run_id}/events{query}", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        return [chunk async for chunk in chunks(response)]


def events_of(app: FastAPI) -> StreamRegistry:
    events: StreamRegistry = app.state.api.events
    return events


async def test_an_ended_run_is_replayed_from_any_point(
    streaming: httpx.AsyncClient, run_id: str, database: Database
) -> None:
    await happen(database, run_id, EventType.step_started)
    await end(database, run_id)
    whole = await read(streaming, run_id)
    kinds = ["run.created", "run.started", "step.started", "run.completed"]
    assert [chunk["event"] for chunk in whole] == kinds
    assert [chunk["id"] for chunk in whole] == ["1", "2", "3", "4"]
    for chunk in whole:
        assert set(chunk["data"]) == {"seq", "type", "createdAt", "data"}
        assert (str(chunk["data"]["seq"]), chunk["data"]["type"]) == (chunk["id"], chunk["event"])
    assert whole[2]["data"]["data"] == {"text": "ä\nb"}
    assert await read(streaming, run_id, "?after=2") == whole[2:]
    assert await read(streaming, run_id, **{"Last-Event-ID": "3"}) == whole[3:]
    assert await read(streaming, run_id, "?after=1", **{"Last-Event-ID": "3"}) == whole[3:]
    for query in ("?after=4", "?after=99"):
        assert await read(streaming, run_id, query) == []


async def test_what_follows_the_end_is_sent_and_holds_nobody(
    streaming: httpx.AsyncClient, run_id: str, database: Database
) -> None:
    """A pull request may be merged long after its run has ended."""
    await end(database, run_id)
    await happen(database, run_id, EventType.pr_blocked_on_ci, EventType.pr_merged)
    kinds = [chunk["event"] for chunk in await read(streaming, run_id)]
    assert kinds[-3:] == ["run.completed", "pr.blocked-on-ci", "pr.merged"]
    assert [chunk["id"] for chunk in await read(streaming, run_id, "?after=4")] == ["5"]
    assert await read(streaming, run_id, "?after=5") == []


async def test_a_live_run_is_followed_to_its_end(
    app: FastAPI,
    streaming: httpx.AsyncClient,
    run_id: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Woken by each event: it never reads by itself."""
    monkeypatch.setattr("api.realtime.event_stream.POLL_SECONDS", 3_600)
    monkeypatch.setattr("api.realtime.event_stream.HEARTBEAT_SECONDS", 3_600)
    seen: list[str] = []

    async def follow() -> None:
        async with streaming.stream("GET", f"/runs/{run_id}/events") as response:
            async for chunk in chunks(response):
                seen.append(chunk["event"])  # noqa: PERF401 - others watch it grow

    following = [asyncio.create_task(follow()) for _ in range(3)]
    await wait_until(lambda: len(seen) == 6 and events_of(app).stream_count == 3)
    await happen(database, run_id, EventType.step_started, EventType.turn_completed)
    await wait_until(lambda: len(seen) == 12)
    await end(database, run_id)
    await asyncio.wait_for(asyncio.gather(*following), TEST_TIMEOUT_SECONDS)
    assert sorted(set(seen[-3:])) == ["run.completed"]
    assert events_of(app).stream_count == 0


async def test_a_client_that_leaves_is_forgotten(
    app: FastAPI, streaming: httpx.AsyncClient, run_id: str
) -> None:
    async with streaming.stream("GET", f"/runs/{run_id}/events") as response:
        await anext(chunks(response))
        await wait_until(lambda: events_of(app).stream_count == 1)
        assert app.state.api.database.engine.pool.checkedout() == 0
    await wait_until(lambda: events_of(app).stream_count == 0)


async def test_silence_is_broken_by_heartbeats(
    streaming: httpx.AsyncClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.realtime.event_stream.HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr("api.realtime.event_stream.POLL_SECONDS", 0.1)
    async with streaming.stream("GET", f"/runs/{run_id}/events?after=2") as response:
        beats = chunks(response)
        assert [(await anext(beats))["comment"] for _ in range(2)] == ["heartbeat", "heartbeat"]


async def test_the_end_of_the_process_ends_streams(
    api_settings: Settings, project: ProjectKey, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.realtime.event_stream.POLL_SECONDS", 3_600)
    async with running(api_settings) as app, run_app(app) as url:
        headers = project.headers
        async with (
            httpx.AsyncClient(
                base_url=f"{url}/api/v1", headers=headers, timeout=TEST_TIMEOUT_SECONDS
            ) as client,
            client.stream("GET", f"/runs/{run_id}/events?after=2") as response,
        ):
            await wait_until(lambda: events_of(app).stream_count == 1)
            events_of(app).close()
            async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
                assert [chunk async for chunk in chunks(response)] == []


async def test_a_revoked_key_ends_its_stream(
    served: str, client: httpx.AsyncClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.realtime.event_stream.POLL_SECONDS", 0.1)
    body = {"name": "n", "scopes": ["runs:read"]}
    key = (await client.post("/project/api-keys/generate", json=body)).json()["data"]
    headers = {"Authorization": f"Bearer {key['key']}"}
    async with (
        httpx.AsyncClient(
            base_url=f"{served}/api/v1", headers=headers, timeout=TEST_TIMEOUT_SECONDS
        ) as other,
        other.stream("GET", f"/runs/{run_id}/events?after=2") as response,
    ):
        assert response.status_code == 200
        await client.post("/project/api-keys/revoke", json={"keyId": key["id"]})
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            assert [chunk async for chunk in chunks(response)] == []


async def test_a_stream_of_a_run_whose_events_were_pruned_ends(
    streaming: httpx.AsyncClient, database: Database, run_id: str
) -> None:
    await end(database, run_id)
    async with database.transaction() as session:
        await session.execute(delete(Event).where(col(Event.subject_id) == run_id))
    async with (
        asyncio.timeout(TEST_TIMEOUT_SECONDS),
        streaming.stream("GET", f"/runs/{run_id}/events") as response,
    ):
        assert [chunk async for chunk in chunks(response)] == []


async def test_a_stream_outlives_its_database_connections(
    streaming: httpx.AsyncClient, run_id: str, database: Database, postgres: Postgres, app: FastAPI
) -> None:
    async with streaming.stream("GET", f"/runs/{run_id}/events?after=2") as response:
        await wait_until(lambda: events_of(app).stream_count == 1)
        async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
            kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s"
            await connection.execute(kill, ["codecourier-api-%"])
        await happen(database, run_id, EventType.step_started)
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            assert (await anext(chunks(response)))["event"] == "step.started"


async def test_a_slow_client_delays_nobody(
    app: FastAPI,
    streaming: httpx.AsyncClient,
    run_id: str,
    database: Database,
    served: str,
    project: ProjectKey,
) -> None:
    """One reads nothing of a long log while another reads all of it."""
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id, with_for_update=True)
        for _ in range(600):
            append_event(session, run, EventType.tool_completed, {"text": "x" * 20_000})
    port = int(served.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    request = (
        f"GET /api/v1/runs/{run_id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {project.key}\r\n\r\n"
    )
    writer.write(request.encode())
    await reader.read(100)
    await end(database, run_id)
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        assert len(await read(streaming, run_id)) == 603
    writer.close()
    await wait_until(lambda: events_of(app).stream_count == 0)


async def test_the_log_in_pages(client: httpx.AsyncClient, run_id: str, database: Database) -> None:
    await happen(database, run_id, *[EventType.tool_completed] * 5)
    path = f"/runs/{run_id}/events"
    first = (await client.get(path, params={"follow": False, "limit": 3})).json()
    assert [event["seq"] for event in first["data"]] == [1, 2, 3]
    assert (first["hasMore"], first["data"][0]["_id"]) == (True, first["data"][0]["id"])
    more = {"follow": False, "limit": 100, "cursor": first["nextCursor"]}
    rest = (await client.get(path, params=more)).json()
    assert ([event["seq"] for event in rest["data"]], rest["hasMore"]) == ([4, 5, 6, 7], False)
    late = (await client.get(path, params={"follow": False, "after": 5})).json()
    assert [event["seq"] for event in late["data"]] == [6, 7]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=99999999999", "follow=maybe"])
async def test_points_that_are_none(client: httpx.AsyncClient, run_id: str, query: str) -> None:
    answer = await client.get(f"/runs/{run_id}/events?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, query.split("=")[0])
    wrong = await client.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": "x"})
    assert wrong.status_code == 400


async def test_a_head_request_does_not_stream(app: FastAPI, project: ProjectKey, run_id: str) -> None:
    async with client_of(app, project) as client:
        assert (await client.head(f"/runs/{run_id}/events")).status_code == 200
