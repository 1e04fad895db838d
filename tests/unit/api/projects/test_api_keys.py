"""Keys: made, limited, revoked everywhere at once, and shown only once."""

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event, text

from api.auth import LISTENER_CURRENT_SECONDS, MAX_CONCURRENT_LOOKUPS, KeyCache
from api.state import AppState
from kit.database import Database
from kit.settings import Settings
from local.stack.postgres import Postgres
from models import ApiKey
from tests.conftest import ProjectKey, make_project
from tests.support.superuser import superuser
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until
from tests.unit.api.conftest import client_of, running


async def generate(client: httpx.AsyncClient, **body: object) -> dict[str, object]:
    answer = await client.post(
        "/project/api-keys/generate", json={"name": "n", "scopes": ["projects:read"], **body}
    )
    assert answer.status_code == 201, answer.text
    data: dict[str, object] = answer.json()["data"]
    return data


def with_key(client: httpx.AsyncClient, key: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_whoami(client: httpx.AsyncClient, project: ProjectKey) -> None:
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
        ("name", ""),
        ("name", "x" * 201),
        ("scopes", []),
        ("scopes", ["runs:fly"]),
        ("scopes", "runs:read"),
        ("expiresAt", "yesterday"),
        ("expiresAt", "2020-01-01T00:00:00Z"),
        ("expiresAt", "2099-01-01T00:00:00"),
    ],
)
async def test_a_key_that_cannot_be_made(client: httpx.AsyncClient, field: str, value: object) -> None:
    body = {"name": "n", "scopes": ["projects:read"], field: value}
    answer = await client.post("/project/api-keys/generate", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"].split(".")[0] == field


async def test_an_expired_key(client: httpx.AsyncClient) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    made = await generate(client, expiresAt=soon.isoformat())
    assert (await client.get("/project", headers=with_key(client, made["key"]))).status_code == 200
    await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.1)
    answer = await client.get("/project", headers=with_key(client, made["key"]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_INVALID")


async def test_a_revoked_key_is_refused_by_every_process(
    app: FastAPI, api_settings: Settings, project: ProjectKey
) -> None:
    async with (
        running(api_settings) as other,
        client_of(app, project) as here,
        client_of(other, project) as there,
    ):
        await wait_until(lambda: all(api_of(client).keys.is_listener_current for client in (here, there)))
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
    api_settings: Settings, postgres: Postgres, project: ProjectKey
) -> None:
    """Fail closed: a process that cannot hear of revocations reads every key anew."""
    async with running(api_settings) as app, client_of(app, project) as client:
        keys = api_of(client).keys
        await wait_until(lambda: keys.is_listener_current)
        assert (await client.get("/whoami")).status_code == 200
        assert len(keys._seen) == 1
        lost = asyncio.Event()
        api_of(client).listener._lost.append(lost.set)
        async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
            kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
            await connection.execute(kill, ["codecourier-api-listener"])
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            await lost.wait()
        assert not keys._seen
        assert not keys.is_listener_current
        assert (await client.get("/whoami")).status_code == 200
        assert not keys._seen
        await wait_until(lambda: keys.is_listener_current)


async def listeners(database: Database) -> set[int]:
    """The processes of PostgreSQL that serve the connections of listeners."""
    of_listeners = text("SELECT pid FROM pg_stat_activity WHERE application_name = :name")
    async with superuser(database) as session:
        found = await session.execute(of_listeners, {"name": "codecourier-api-listener"})
        return {*found.scalars()}


async def test_a_half_dead_connection_is_believed_for_seconds_only(
    api_settings: Settings, project: ProjectKey, database: Database
) -> None:
    """Nobody says that it is dead, and what it would tell never comes: its process is stopped."""
    others = await listeners(database)
    async with running(api_settings) as app, client_of(app, project) as client:
        await wait_until(lambda: api_of(client).keys.is_listener_current)
        assert (await client.get("/whoami")).status_code == 200
        [process] = await listeners(database) - others
        os.kill(process, signal.SIGSTOP)
        try:
            async with database.transaction() as session:
                (await session.get_one(ApiKey, project.key_id)).revoke()
            assert (await client.get("/whoami")).status_code == 200, "the connection is half dead"
            async with asyncio.timeout(LISTENER_CURRENT_SECONDS + 0.5):
                while (await client.get("/whoami")).status_code == 200:
                    await asyncio.sleep(0.1)
        finally:
            os.kill(process, signal.SIGCONT)


@contextmanager
def listening(engine: Engine, name: str, hear: Callable[[object], None]) -> Iterator[None]:
    """Hear of the engine's events of this name until the block ends."""
    event.listen(engine, name, hear)
    try:
        yield
    finally:
        event.remove(engine, name, hear)


async def test_an_unknown_key_is_read_once_and_costs_no_write(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever guesses makes one read for each guess, however often it is sent, and no transaction."""
    keys: KeyCache = app.state.api.keys
    reads, read = [], keys._reads.fetch

    async def fetch(sql: str, parameters: Mapping[str, object]) -> Sequence[tuple[object, ...]]:
        reads.append(parameters["hash"])
        return await read(sql, parameters)

    guesses = ["cc_live_" + secrets.token_urlsafe(32) for _ in range(20)]
    engine, begun = app.state.api.database.engine.sync_engine, list[object]()
    with monkeypatch.context() as patched, listening(engine, "begin", begun.append):
        patched.setattr(keys._reads, "fetch", fetch)
        tries = [client.get("/whoami", headers=with_key(client, guess)) for guess in guesses * 5]
        answers = await asyncio.gather(*tries)
    assert {answer.status_code for answer in answers} == {401}
    assert len(reads) == len({*reads}) == 20
    assert begun == []  # the pool that reads can do nothing else


async def test_what_is_remembered_of_guesses_is_bounded(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: KeyCache = app.state.api.keys
    monkeypatch.setattr("api.auth.MAX_CACHED_KEYS", 10)
    monkeypatch.setattr(keys, "_unknown", {})
    for _ in range(12):
        guess = "cc_live_" + secrets.token_urlsafe(32)
        assert (await client.get("/whoami", headers=with_key(client, guess))).status_code == 401
    assert len(keys._unknown) == 10


async def test_a_key_revoked_while_it_is_read_is_not_kept(app: FastAPI, project: ProjectKey) -> None:
    async with client_of(app, project) as client:
        keys = api_of(client).keys
        keys.clear()
        reading = asyncio.create_task(client.get("/whoami"))
        while not keys._turn.locked() and keys._turn._value == MAX_CONCURRENT_LOOKUPS:
            await asyncio.sleep(0)
        keys.clear()
        assert (await reading).status_code == 200
        assert not keys._seen


async def test_last_use_is_written_without_a_write_per_request(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
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


def api_of(client: httpx.AsyncClient) -> AppState:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    api: AppState = transport.app.state.api  # type: ignore[attr-defined]
    return api
