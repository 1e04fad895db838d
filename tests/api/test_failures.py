"""When parts are missing: the API starts, says so, changes nothing, and is back with them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import PostgresDsn

from kit.settings import Settings
from local.ports import free_ports
from tests.api.conftest import client_of, running
from tests.conftest import TestProject


@pytest.fixture
async def homeless(api_settings: Settings, project: TestProject) -> AsyncIterator[httpx.AsyncClient]:
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
    assert len(app.state.api.reads._idle) <= 10


async def test_the_process_stops_at_once_with_a_stream_open(
    api_settings: Settings,
    client: httpx.AsyncClient,
    run_body: dict[str, str],
    project: TestProject,
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
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, cwd=Path(__file__).parents[2]
        )
    try:
        headers = project.headers
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as http:
            async with asyncio.timeout(20):
                while not await _up(http):
                    assert process.poll() is None, log.read_text()
                    await asyncio.sleep(0.05)
            async with http.stream("GET", f"/api/v1/runs/{run_id}/events", timeout=20) as stream:
                await anext(stream.aiter_lines())
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(3):
                    assert await asyncio.to_thread(process.wait) in (0, -signal.SIGTERM)
    finally:
        process.kill()
    lines = log.read_text()
    assert f'"path":"/api/v1/runs/{run_id}/events"' in lines
    assert '"request_id":"' in lines
    assert project.key not in lines


async def _up(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz")).status_code == 200
    except httpx.ConnectError:
        return False
