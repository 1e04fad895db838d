"""When parts are missing: the API starts, says so, changes nothing, and is back with them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import PostgresDsn
from sqlalchemy import delete, update

from api.realtime.event_stream import POLL_SECONDS
from kit.database import Database
from kit.schemas import format_timestamp
from kit.settings import Settings
from local.stack.ports import free_ports
from models import Installation, Sweep
from models.base import now
from models.reconcile.sweep import SweepName
from tests.conftest import ProjectKey
from tests.support.checkout import ROOT
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.unit.api.conftest import client_of, running


@pytest.fixture
async def homeless(api_settings: Settings, project: ProjectKey) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API whose database does not answer."""
    url = PostgresDsn(f"postgresql://x:x@127.0.0.1:{free_ports(1)[0]}/x")
    settings = api_settings.model_copy(update={"database_url": url})
    async with running(settings) as app, client_of(app, project) as client:
        yield client


async def test_without_the_database(homeless: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        homeless.get("/project"),
        homeless.post(
            "/personas/create", json={"name": "x", "type": "judge"}, headers={"Idempotency-Key": "k"}
        ),
        homeless.get("http://test/readyz"),
    )
    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["retryable"]) == (503, "UNAVAILABLE", True)
        assert error["requestId"] == answer.headers["X-Request-ID"]
        assert "database" in error["message"]
    assert (await homeless.get("http://test/healthz")).status_code == 200
    assert (await homeless.get("/openapi.json")).status_code == 200
    assert (await homeless.get("/project", headers={"Authorization": ""})).status_code == 401


async def test_readiness_tells_the_older_of_the_last_good_sweeps(
    client: httpx.AsyncClient, database: Database
) -> None:
    ready = await client.get("http://test/readyz")
    assert ready.json()["data"]["lastGoodSweepAt"] is None, "one of them never was"
    older, newer = now() - timedelta(minutes=7), now()
    async with database.transaction() as session:
        for name, moment in ((SweepName.start, newer), (SweepName.reconcile, older)):
            await session.merge(Sweep(name=name, good_at=moment))
    ready = await client.get("http://test/readyz")
    assert ready.json()["data"]["lastGoodSweepAt"] == format_timestamp(older)
    async with database.transaction() as session:
        await session.execute(delete(Sweep))


async def test_an_api_in_another_namespace_accepts_and_starts_nothing(
    api_settings: Settings, project: ProjectKey, database: Database, run_body: dict[str, str]
) -> None:
    """A worker in the right one starts it."""
    namespace = update(Installation).values(temporal_namespace="elsewhere")
    async with database.transaction() as session:
        await session.execute(namespace)
    try:
        async with running(api_settings) as app, client_of(app, project) as client:
            run = (await client.post("/runs/start", json=run_body)).json()["data"]
            assert run["status"] == "pending"
            ready = (await client.get("http://test/readyz")).json()["data"]
            assert ready["temporal"] == "unreachable"
    finally:
        async with database.transaction() as session:
            await session.execute(namespace.values(temporal_namespace=None))


async def test_a_commit_that_fails_is_no_success(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise ConnectionResetError("by peer, with a password=hunter2 in it")

    with monkeypatch.context() as broken:
        broken.setattr("sqlmodel.ext.asyncio.session.AsyncSession.commit", fail)
        answer = await client.post("/personas/create", json={"name": "x", "type": "judge"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["retryable"]) == (500, "INTERNAL", True)
    assert error["message"] == "Something went wrong on our side."
    assert error["requestId"] == answer.headers["X-Request-ID"]
    assert (await client.get("/personas/list")).json()["data"] == []
    assert app.state.api.database.engine.pool.checkedout() == 0


async def test_many_at_once_share_few_connections(app: FastAPI, client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.get("/runs/list") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert 0 < app.state.api.read_pool.connections <= 10


async def test_the_process_stops_at_once_with_a_stream_open(
    api_settings: Settings,
    client: httpx.AsyncClient,
    run_body: dict[str, str],
    project: ProjectKey,
    tmp_path: Path,
) -> None:
    """A real process: its logs are JSON lines, and SIGTERM ends it although somebody listens."""
    run_id = (await client.post("/runs/start", json=run_body)).json()["data"]["id"]
    [port] = free_ports(1)
    environment = {
        **os.environ,
        "DATABASE_URL": str(api_settings.database_url),
        "ENCRYPTION_KEYS": api_settings.encryption_keys.get_secret_value(),
        "TEMPORAL_ADDRESS": api_settings.temporal_address,
    }
    log = tmp_path / "api.log"
    command = [sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=ROOT)
    try:
        headers = project.headers
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as http:
            async with asyncio.timeout(
                TEST_TIMEOUT_SECONDS
            ):  # it imports for long where many processes want the cores
                while not await _up(http):
                    assert process.poll() is None, log.read_text()
                    await asyncio.sleep(0.05)
            async with http.stream(
                "GET", f"/api/v1/runs/{run_id}/events", timeout=TEST_TIMEOUT_SECONDS
            ) as stream:
                told = stream.aiter_lines()
                await anext(told)
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(POLL_SECONDS - 0.5):  # sooner than a stream reads by itself
                    assert [line async for line in told]
            async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
                assert await asyncio.to_thread(process.wait) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
    lines = log.read_text()
    assert f'"path":"/api/v1/runs/{run_id}/events"' in lines
    assert '"request_id":"' in lines
    assert project.key not in lines


async def _up(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False
