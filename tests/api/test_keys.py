"""Keys: made, limited, revoked everywhere at once, and shown only once."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.context import Api
from kit.database import Database
from kit.settings import Settings
from local.postgres import Postgres
from tests.api.conftest import client_of, running
from tests.conftest import TestProject, make_project


async def generate(client: httpx.AsyncClient, **body: object) -> dict[str, object]:
    answer = await client.post(
        "/project/api-keys/generate", json={"name": "n", "scopes": ["projects:read"], **body}
    )
    assert answer.status_code == 201, answer.text
    data: dict[str, object] = answer.json()["data"]
    return data


async def eventually(condition: object, seconds: float = 5.0) -> None:
    """Wait for what another task does soon."""
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def with_key(client: httpx.AsyncClient, key: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_whoami(client: httpx.AsyncClient, project: TestProject) -> None:
    data = (await client.get("/whoami")).json()["data"]
    assert data["keyId"] == data["id"] == data["_id"] == project.key_id
    assert data["projectId"] == project.id
    assert data["name"] == "test"
    assert len(data["scopes"]) == 27
    assert data["lastUsedAt"] >= data["createdAt"]


async def test_a_new_key_works_and_its_secret_is_shown_once(
    client: httpx.AsyncClient, database: Database
) -> None:
    made = await generate(client)
    secret = str(made["key"])
    assert secret.startswith("cc_live_")
    assert made["keyPrefix"] == secret[:16]
    assert (await client.get("/project", headers=with_key(client, secret))).status_code == 200
    listed = await client.get("/project/api-keys")
    assert secret not in listed.text
    assert listed.json()["data"][0]["id"] == made["id"]
    async with database.transaction() as session:
        rows = (await session.execute(text("SELECT * FROM api_key"))).all()
    assert not any(secret in str(row) or secret[16:] in str(row) for row in rows)


async def test_a_key_grants_only_what_it_has(app: FastAPI, database: Database) -> None:
    async with client_of(app, await make_project(database, scopes=["api-keys:write"])) as client:
        body = {"name": "n", "scopes": ["api-keys:write", "runs:read"]}
        answer = await client.post("/project/api-keys/generate", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
        assert "runs:read" in answer.json()["error"]["message"]
        assert (await generate(client, scopes=["api-keys:write"]))["scopes"] == ["api-keys:write"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "x" * 201), ("scopes", []), ("scopes", ["runs:fly"]), ("scopes", "runs:read"),
        ("expiresAt", "yesterday"), ("expiresAt", "2020-01-01T00:00:00Z"),
        ("expiresAt", "2099-01-01T00:00:00"),
    ],
)  # fmt: skip
async def test_a_key_that_cannot_be_made(client: httpx.AsyncClient, field: str, value: object) -> None:
    body = {"name": "n", "scopes": ["projects:read"], field: value}
    answer = await client.post("/project/api-keys/generate", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"].split(".")[0] == field


async def test_an_expired_key(client: httpx.AsyncClient) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    made = await generate(client, expiresAt=soon.isoformat())
    assert (await client.get("/project", headers=with_key(client, made["key"]))).status_code == 200
    await asyncio.sleep(0.6)
    answer = await client.get("/project", headers=with_key(client, made["key"]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_INVALID")


async def test_a_revoked_key_is_refused_by_every_process(
    app: FastAPI, api_settings: Settings, project: TestProject
) -> None:
    async with (
        running(api_settings) as other,
        client_of(app, project) as here,
        client_of(other, project) as there,
    ):
        for client in (here, there):
            await eventually(lambda client=client: api_of(client).keys._trusted)
        made = await generate(here, scopes=["projects:read"])
        headers = with_key(here, made["key"])
        for client in (here, there):
            assert (await client.get("/project", headers=headers)).status_code == 200
        revoked = await here.post("/project/api-keys/revoke", json={"keyId": made["id"]})
        assert revoked.json()["data"]["revokedAt"] is not None
        for client in (here, there):
            answer = await client.get("/project", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_INVALID")
        again = await here.post("/project/api-keys/revoke", json={"id": made["id"]})
        assert again.json() == revoked.json()


async def test_without_its_listener_nothing_is_cached(
    api_settings: Settings, postgres: Postgres, project: TestProject
) -> None:
    """Fail closed: a process that cannot hear of revocations reads every key anew."""
    async with running(api_settings) as app, client_of(app, project) as client:
        keys = api_of(client).keys
        await eventually(lambda: keys._trusted)
        assert (await client.get("/whoami")).status_code == 200
        assert len(keys._seen) == 1
        lost = asyncio.Event()
        api_of(client).listener._lost.append(lost.set)
        async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
            kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
            await connection.execute(kill, ["codecourier-api-listener"])
        async with asyncio.timeout(5):
            await lost.wait()
        assert not keys._seen
        assert not keys._trusted
        assert (await client.get("/whoami")).status_code == 200
        assert not keys._seen
        await eventually(lambda: keys._trusted)


async def test_a_key_revoked_while_it_is_read_is_not_kept(app: FastAPI, project: TestProject) -> None:
    async with client_of(app, project) as client:
        keys = api_of(client).keys
        keys.forget()
        reading = asyncio.create_task(client.get("/whoami"))
        while keys._database.engine.pool.checkedout() == 0:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        keys.forget()
        assert (await reading).status_code == 200
        assert not keys._seen


async def test_last_use_is_written_without_a_write_per_request(
    client: httpx.AsyncClient, project: TestProject, database: Database
) -> None:
    for _ in range(5):
        await client.get("/whoami")
    async with database.transaction() as session:
        row = (
            await session.execute(
                text("SELECT last_used_at, xmin::text FROM api_key WHERE id = :id"), {"id": project.key_id}
            )
        ).one()
    assert datetime.now(UTC) - row[0] < timedelta(minutes=1)
    for _ in range(5):
        await client.get("/whoami")
    async with database.transaction() as session:
        written = text("SELECT xmin::text FROM api_key WHERE id = :id")
        assert (await session.execute(written, {"id": project.key_id})).scalar_one() == row[1]


async def test_keys_of_other_projects(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = await generate(stranger)
    answer = await client.post("/project/api-keys/revoke", json={"keyId": made["id"]})
    assert answer.status_code == 404
    assert str(made["id"]) not in (await client.get("/project/api-keys")).text


async def test_no_secret_is_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        made = await generate(client)
        await client.get("/project", headers=with_key(client, made["key"]))
        await client.post("/project/provider-keys/set", json={"provider": "github", "key": "ghp_canary_1234"})
    assert str(made["key"]) not in caplog.text
    assert "ghp_canary_1234" not in caplog.text


def api_of(client: httpx.AsyncClient) -> Api:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    api: Api = transport.app.state.api  # type: ignore[attr-defined]
    return api
