"""Runs: started, looked at and commanded, with the engine there and without it."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import col, select
from temporalio.client import Client

from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from kit.temporal import connect
from models import FollowUp, IdempotencyRecord, Run
from models.agent.session import FollowUpStatus
from models.base import now
from models.runs.run import RunStatus
from tests.conftest import ProjectKey
from tests.support.waiting import TEST_TIMEOUT_SECONDS


@pytest.fixture
async def temporal_client(api_settings: Settings) -> Client:
    return await connect(api_settings)


async def start(client: httpx.AsyncClient, body: dict[str, str]) -> dict[str, Any]:
    answer = await client.post("/runs/start", json=body)
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()["data"]
    return run


async def get(client: httpx.AsyncClient, id: str) -> dict[str, Any]:
    run: dict[str, Any] = (await client.get("/runs/get", params={"id": id})).json()["data"]
    return run


async def reaches(client: httpx.AsyncClient, id: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while (run := await get(client, id))["status"] != status:
            await asyncio.sleep(0.02)
    return run


async def command(client: httpx.AsyncClient, id: str, verb: str, status: int = 200) -> dict[str, Any]:
    answer = await client.post(f"/runs/{id}/{verb}")
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["data" if status < 300 else "error"]
    return found


async def events(client: httpx.AsyncClient, id: str) -> list[str]:
    answer = await client.get(f"/runs/{id}/events", params={"follow": "false"})
    return [event["type"] for event in answer.json()["data"]]


async def test_a_run_is_started_and_taken(
    client: httpx.AsyncClient, run_body: dict[str, str], temporal_client: Client
) -> None:
    run = await start(client, run_body)
    assert (run["status"], run["runNumber"], run["source"]) == ("running", 1, "api")
    assert (run["repositorySlug"], run["workflow"]["name"]) == ("org/repo", "Build and check")
    assert run == await get(client, run["id"])
    assert await events(client, run["id"]) == ["run.created", "run.started"]
    told = await temporal_client.get_workflow_handle(run["id"]).describe()
    attributes = {pair.key.name: pair.value for pair in told.typed_search_attributes}
    assert attributes["CourierRunId"] == run["id"]
    assert attributes["Repository"] == "org/repo"
    assert str(attributes["Installation"]).startswith("ins_")
    assert "org/repo" in (await told.static_summary() or "")


async def test_runs_are_found(client: httpx.AsyncClient, run_body: dict[str, str]) -> None:
    first, second = await start(client, run_body), await start(client, {**run_body, "name": "Second"})
    assert [run["runNumber"] for run in (second, first)] == [2, 1]
    for path in ("/runs", "/runs/list"):
        assert (await client.get(path)).json()["data"] == [second, first]
    for query in ("runNumber=2", "number=2"):
        assert (await client.get(f"/runs/get-by-number?{query}")).json()["data"] == second
    assert (await client.get("/runs/get-by-number?runNumber=3")).status_code == 404
    for query in ("runNumber=x", "runNumber=0", "runNumber=99999999999"):
        assert (await client.get(f"/runs/get-by-number?{query}")).status_code == 400
    detail = (await client.get("/runs/detail", params={"id": first["id"]})).json()["data"]
    assert detail == {**first, "queuePosition": None, "steps": [], "referenceImages": []}
    assert (await client.get("/runs/list?status=completed")).json()["data"] == []
    assert len((await client.get("/runs/list?status=running&source=api")).json()["data"]) == 2
    assert (await client.get("/runs/list?status=dancing")).json()["error"]["field"] == "status"


async def test_another_projects_run_is_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    run = await start(client, run_body)
    unknown = new_id("r")
    for path in ("get?id={}", "detail?id={}", "{}/events", "{}/events?follow=false"):
        theirs, nobodys = [await stranger.get(f"/runs/{path.format(one)}") for one in (run["id"], unknown)]
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json()["error"]["message"] == nobodys.json()["error"]["message"]
    for verb in ("cancel", "pause", "resume", "restart", "graceful-stop"):
        assert (await stranger.post(f"/runs/{run['id']}/{verb}")).status_code == 404
    assert (await stranger.post("/runs/start", json=run_body)).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"workflowId": "wf_" + "0" * 32}, 404, None),
        ({"workflowId": "nonsense"}, 404, None),
        ({"workflowId": None}, 400, "workflowId"),
        ({"prompt": ""}, 400, "prompt"),
        ({"githubRepoUrl": "https://example.com/org/repo"}, 400, "githubRepoUrl"),
        ({"githubRepoUrl": None}, 400, "githubRepoUrl"),
        ({"githubRepoUrl": "ftp://github.com/a/b; rm -rf /"}, 400, "githubRepoUrl"),
        ({"baseBranch": "no branch"}, 400, "baseBranch"),
        ({"compareBranches": ["one", "two..three"]}, 400, "compareBranches.1"),
    ],
)
async def test_runs_that_cannot_be(
    client: httpx.AsyncClient,
    run_body: dict[str, str],
    change: dict[str, Any],
    status: int,
    field: str | None,
) -> None:
    answer = await client.post("/runs/start", json={**run_body, **change})
    assert (answer.status_code, answer.json()["error"].get("field")) == (status, field), answer.text
    assert (await client.get("/runs/list")).json()["data"] == []


async def test_the_projects_repository_is_the_default(
    client: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    await client.post("/project/update", json={"githubRepoUrl": "git@github.com:org/shop.git"})
    run = await start(client, {name: value for name, value in run_body.items() if name != "githubRepoUrl"})
    assert run["repositorySlug"] == "org/shop"


async def test_a_run_is_controlled(worker: None, client: httpx.AsyncClient, run_body: dict[str, str]) -> None:
    run = await start(client, run_body)
    run_id = run["id"]
    assert (await command(client, run_id, "resume", 409))[
        "message"
    ] == "Run 1 is running and cannot be resumed."
    assert (await command(client, run_id, "restart", 409))["code"] == "CONFLICT"
    assert (await command(client, run_id, "pause"))["status"] == "paused"
    assert (await command(client, run_id, "pause", 409))["message"] == "Run 1 is paused and cannot be paused."
    assert (await command(client, run_id, "resume"))["status"] == "running"
    message = await client.post(f"/runs/{run_id}/messages", json={"content": "Hello"})
    assert message.status_code == 201
    assert (message.json()["data"]["content"], message.json()["data"]["runId"]) == ("Hello", run_id)
    await command(client, run_id, "graceful-stop")
    stopped = await reaches(client, run_id, "cancelled")
    assert stopped["completedAt"] is not None
    for verb in ("cancel", "pause", "resume", "graceful-stop"):
        assert (await command(client, run_id, verb, 409))["code"] == "CONFLICT"
    assert (await client.post(f"/runs/{run_id}/messages", json={"content": "x"})).status_code == 409
    expected = ["run.created", "run.started", "run.paused", "run.resumed", "run.stopping", "run.cancelled"]
    assert await events(client, run_id) == expected
    again = await command(client, run_id, "restart", 201)
    assert (again["runNumber"], again["restartedFrom"], again["prompt"]) == (2, run_id, "Do it")
    assert again["branchName"] != run["branchName"]


async def test_a_message_is_sent_once_though_the_process_died_before_it_answered(
    worker: None,
    client: httpx.AsyncClient,
    run_body: dict[str, str],
    database: Database,
    project: ProjectKey,
) -> None:
    """After the commit, and after the workflow was told; the same key for another message is refused."""
    run = await start(client, run_body)
    path, key = f"/runs/{run['id']}/messages", {"Idempotency-Key": "message-1"}
    sent = await client.post(path, json={"content": "Go."}, headers=key)
    assert sent.status_code == 201
    async with database.transaction() as session:
        claims = update(IdempotencyRecord).where(col(IdempotencyRecord.project_id) == project.id)
        long_ago = now() - timedelta(seconds=31)
        await session.execute(claims.values(status_code=None, body=None, created_at=long_ago))
    again = await client.post(path, json={"content": "Go."}, headers=key)
    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, False)
    assert again.json()["data"]["id"] == sent.json()["data"]["id"]
    async with database.transaction() as session:
        messages = (await session.exec(select(FollowUp).where(col(FollowUp.job_id) == run["id"]))).all()
    assert [message.content for message in messages] == ["Go."]
    other = await client.post(path, json={"content": "Go."}, headers={"Idempotency-Key": "message-2"})
    assert other.json()["data"]["id"] > sent.json()["data"]["id"]


async def test_a_running_run_is_cancelled(
    worker: None, client: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    run = await start(client, run_body)
    await command(client, run["id"], "cancel")
    await reaches(client, run["id"], "cancelled")
    assert (await command(client, run["id"], "cancel", 409))["code"] == "CONFLICT"


async def test_what_the_engine_refuses_is_a_conflict(
    worker: None,
    client: httpx.AsyncClient,
    run_body: dict[str, str],
    database: Database,
    temporal_client: Client,
) -> None:
    """The row says running, but the workflow is over: its word counts, and nothing is left behind."""
    run = await start(client, run_body)
    handle = temporal_client.get_workflow_handle(run["id"])
    await handle.terminate()
    for verb in ("pause", "graceful-stop"):
        assert (await command(client, run["id"], verb, 409))["code"] == "CONFLICT"
    answer = await client.post(f"/runs/{run['id']}/messages", json={"content": "x"})
    assert answer.status_code == 409
    async with database.transaction() as session:
        row = await session.get_one(Run, run["id"])
        assert row.status is RunStatus.running
        found = await session.exec(select(FollowUp).where(col(FollowUp.job_id) == run["id"]))
        assert found.all() == []


async def test_without_the_engine_reads_work_and_starts_wait(
    unplugged: httpx.AsyncClient, run_body: dict[str, str], database: Database
) -> None:
    key = {"Idempotency-Key": "once"}
    began = asyncio.get_running_loop().time()
    answer = await unplugged.post("/runs/start", json=run_body, headers=key)
    assert asyncio.get_running_loop().time() - began < 8
    run = answer.json()["data"]
    assert (answer.status_code, run["status"], run["startedAt"]) == (201, "pending", None)
    assert (await unplugged.post("/runs/start", json=run_body, headers=key)).content == answer.content
    assert await get(unplugged, run["id"]) == run
    ready = await unplugged.get("http://test/readyz")
    assert (ready.status_code, ready.json()["data"]["temporal"]) == (200, "unreachable")
    assert (await unplugged.get("http://test/healthz")).json() == {"data": {"status": "ok"}}


async def test_commands_need_the_engine(
    unplugged: httpx.AsyncClient, client: httpx.AsyncClient, run_body: dict[str, str], database: Database
) -> None:
    run = await start(client, run_body)
    verbs = ("pause", "cancel", "graceful-stop")
    answers = await asyncio.gather(
        *(unplugged.post(f"/runs/{run['id']}/{verb}") for verb in verbs),
        unplugged.post(f"/runs/{run['id']}/messages", json={"content": "lost"}),
    )
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["retryable"]) == (503, True)
    assert await get(client, run["id"]) == run
    async with database.transaction() as session:
        found = await session.exec(select(FollowUp).where(col(FollowUp.job_id) == run["id"]))
        assert found.all() == []


async def test_a_command_that_nobody_took_may_still_be_carried_out_and_says_so(
    client: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    run = await start(client, run_body)
    answer = await client.post(f"/runs/{run['id']}/pause")
    assert answer.status_code == 503
    assert "may still be carried out" in answer.json()["error"]["message"]


async def test_a_message_that_the_agent_was_told_is_not_taken_back(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database
) -> None:
    """It is told just before the request gives up: it was sent, and one that was not told is not kept."""
    run = await start(client, run_body)
    sending = [
        asyncio.create_task(client.post(f"/runs/{run['id']}/messages", json={"content": content}))
        for content in ("told", "not told")
    ]
    found: list[FollowUp] = []
    while len(found) < 2:
        await asyncio.sleep(0.05)
        async with database.transaction() as session:
            statement = select(FollowUp).where(col(FollowUp.job_id) == run["id"])
            found = list((await session.exec(statement)).all())
            for message in found:
                if message.content == "told":
                    message.status = FollowUpStatus.delivered
    told, not_told = await asyncio.gather(*sending)
    assert (told.status_code, told.json()["data"]["status"]) == (201, "delivered")
    assert not_told.status_code == 503
    assert "taken back" in not_told.json()["error"]["message"]
    async with database.transaction() as session:
        left = await session.exec(select(FollowUp).where(col(FollowUp.job_id) == run["id"]))
        assert [message.content for message in left.all()] == ["told"]


async def test_a_pending_run_is_cancelled_at_once_and_never_starts(
    unplugged: httpx.AsyncClient, client: httpx.AsyncClient, worker: None, run_body: dict[str, str]
) -> None:
    run = await start(unplugged, run_body)
    cancelled = await command(client, run["id"], "cancel")
    assert cancelled["status"] == "cancelled"
    assert await events(client, run["id"]) == ["run.created", "run.cancelled"]
    assert (await client.post(f"/runs/{run['id']}/pause")).status_code == 409


async def test_a_start_that_is_retried_starts_once(
    app: FastAPI, client: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    answers = await asyncio.gather(
        *(client.post("/runs/start", json=run_body, headers={"Idempotency-Key": "k"}) for _ in range(6))
    )
    created = {answer.content for answer in answers if answer.status_code == 201}
    assert len(created) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = await client.post("/runs/start", json=run_body, headers={"Idempotency-Key": "k"})
    assert again.content in created
    assert again.json()["data"]["status"] == "running"
    assert len((await client.get("/runs/list")).json()["data"]) == 1
