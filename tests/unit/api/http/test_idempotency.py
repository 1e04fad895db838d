"""One key, one effect, one answer: whatever is retried, raced, killed or refused."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI, Response
from sqlalchemy import func, select, text, update
from sqlmodel import col

from api.http.idempotency import Claim, IdempotencyStore, StillRunning
from kit.database import Database
from kit.errors import Unavailable
from models import IdempotencyRecord, Persona
from models.base import now
from tests.conftest import ProjectKey

BODY = {"name": "Reviewer", "type": "reviewer"}
KEY = {"Idempotency-Key": "5d0f-1"}


async def count(database: Database, project: ProjectKey) -> int:
    async with database.transaction() as session:
        statement = select(func.count()).where(col(Persona.project_id) == project.id)
        return int((await session.execute(statement)).scalar_one())


async def test_a_retry_is_answered_byte_for_byte(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    first = await client.post("/personas/create", json=BODY, headers=KEY)
    again = await client.post("/personas/create", json=BODY, headers=KEY)
    assert (first.status_code, "Idempotent-Replayed" in first.headers) == (201, False)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.content == first.content
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert await count(database, project) == 1


async def test_another_request_under_the_same_key(client: httpx.AsyncClient) -> None:
    await client.post("/personas/create", json=BODY, headers=KEY)
    for path, body in (("/personas/create", {**BODY, "name": "Other"}), ("/workflows/create", BODY)):
        answer = await client.post(path, json=body, headers=KEY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "IDEMPOTENCY_MISMATCH")


async def test_the_same_key_in_another_project(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    ours = await client.post("/personas/create", json=BODY, headers=KEY)
    theirs = await stranger.post("/personas/create", json=BODY, headers=KEY)
    assert theirs.status_code == 201
    assert theirs.json()["data"]["id"] != ours.json()["data"]["id"]


async def test_a_race_has_one_winner(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    answers = await asyncio.gather(
        *(client.post("/personas/create", json=BODY, headers=KEY) for _ in range(12))
    )
    created = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(created) + len(waiting) == 12
    assert len({answer.content for answer in created}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in created) == 1
    for answer in waiting:
        assert answer.json()["error"]["code"] == "CONFLICT"
        assert answer.json()["error"]["retryable"] is True
        assert answer.headers["Retry-After"] == "1"
    assert await count(database, project) == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/personas/create", {"name": "x"}, 400),
        ("/personas/update", {"personaId": "per_" + "0" * 32, "name": "x"}, 404),
        ("/runs/r_" + "0" * 32 + "/pause", None, 404),
    ],
)
async def test_a_refusal_is_remembered(
    client: httpx.AsyncClient, path: str, body: object, status: int
) -> None:
    first = await client.post(path, json=body, headers=KEY)
    again = await client.post(path, json=body, headers=KEY)
    assert first.status_code == again.status_code == status
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_failure_is_not_remembered(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise Unavailable("no")

    with monkeypatch.context() as broken:
        broken.setattr("api.state.UnitOfWork.commit", fail)
        failed = await client.post("/personas/create", json=BODY, headers=KEY)
        assert (failed.status_code, failed.json()["error"]["retryable"]) == (503, True)
    again = await client.post("/personas/create", json=BODY, headers=KEY)
    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, False)


@pytest.mark.parametrize("age", [timedelta(hours=24, seconds=1)])
async def test_it_is_forgotten_after_a_day(
    client: httpx.AsyncClient, project: ProjectKey, database: Database, age: timedelta
) -> None:
    first = await client.post("/personas/create", json=BODY, headers=KEY)
    await grow_old(database, project, age)
    later = await client.post("/personas/create", json={**BODY, "name": "Other"}, headers=KEY)
    assert later.status_code == 201
    assert later.json()["data"]["id"] != first.json()["data"]["id"]


async def test_the_claim_of_a_dead_process_is_taken_over(
    app: FastAPI, client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    """And had it only been slow, it could not commit any more."""
    idempotency: IdempotencyStore = app.state.api.idempotency
    lost = await idempotency.claim(project.id, project.key_id, KEY["Idempotency-Key"], "x")
    assert isinstance(lost, Claim)
    assert (await client.post("/personas/create", json=BODY, headers=KEY)).status_code == 409
    await grow_old(database, project, timedelta(seconds=31))
    taken = await client.post("/personas/create", json=BODY, headers=KEY)
    assert taken.status_code == 201
    with pytest.raises(StillRunning):
        await idempotency.store_separately(lost, Response(b"{}"))
    replayed = await client.post("/personas/create", json=BODY, headers=KEY)
    assert replayed.content == taken.content


async def test_a_provisional_answer_counts_when_no_better_one_comes(
    app: FastAPI, client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    """As when the process dies between the commit and the engine's answer."""
    first = await client.post("/personas/create", json=BODY, headers=KEY)
    async with database.transaction() as session:
        provisional = update(IdempotencyRecord).where(col(IdempotencyRecord.project_id) == project.id)
        await session.execute(provisional.values(status_code=-201))
    assert (await client.post("/personas/create", json=BODY, headers=KEY)).status_code == 409
    await grow_old(database, project, timedelta(seconds=31))
    again = await client.post("/personas/create", json=BODY, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_is_none(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/personas/create", json=BODY, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "Idempotency-Key")


async def test_it_is_ignored_on_get(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        answer = await client.get("/personas/list", headers=KEY)
        assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (200, False)


async def test_remembered_answers_are_sealed(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    await client.post("/personas/create", json={**BODY, "name": "Nobody's business"}, headers=KEY)
    async with database.transaction() as session:
        of_project = text("SELECT body FROM idempotency_record WHERE project_id = :id")
        [kept] = (await session.execute(of_project, {"id": project.id})).scalars().all()
    assert kept
    assert b"business" not in bytes(kept)


@pytest.mark.parametrize(
    ("path", "body", "shown"),
    [
        ("/project/api-keys/generate", {"name": "n", "scopes": ["runs:read"]}, "key"),
        ("/webhooks/endpoints", {"url": "https://example.com/hook"}, "secret"),
        (
            "/files/upload-url",
            {"fileName": "a.png", "contentType": "image/png", "sizeBytes": 100},
            "uploadUrl",
        ),
    ],
)
async def test_no_copy_of_an_answer_with_a_secret_is_kept(
    client: httpx.AsyncClient,
    project: ProjectKey,
    database: Database,
    path: str,
    body: object,
    shown: str,
) -> None:
    """The retry is told what was made, and that its secret is not shown again."""
    first = await client.post(path, json=body, headers=KEY)
    made = first.json()["data"]
    assert (first.status_code, bool(made[shown])) == (201, True)
    again = await client.post(path, json=body, headers=KEY)
    error = again.json()["error"]
    assert (again.status_code, error["code"], error.get("retryable")) == (409, "SECRET_SHOWN", None)
    assert made[shown] not in again.text
    assert "id" not in made or made["id"] in error["message"]
    async with database.transaction() as session:
        of_project = select(IdempotencyRecord).where(col(IdempotencyRecord.project_id) == project.id)
        [kept] = (await session.execute(of_project)).scalars()
    assert (kept.status_code, kept.body, kept.made_id) == (201, None, made.get("id"))


async def test_a_refusal_of_what_would_show_a_secret_is_remembered_as_any(client: httpx.AsyncClient) -> None:
    body = {"name": "n", "scopes": []}
    answers = [await client.post("/project/api-keys/generate", json=body, headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[1].headers["Idempotent-Replayed"] == "true"


async def grow_old(database: Database, project: ProjectKey, age: timedelta) -> None:
    async with database.transaction() as session:
        old = update(IdempotencyRecord).where(col(IdempotencyRecord.project_id) == project.id)
        await session.execute(old.values(created_at=now() - age))
