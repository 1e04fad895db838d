"""Waiting for a run to end: answered at once when it has, at last when it has not, and cheap meanwhile."""

import asyncio
from time import monotonic

import httpx
import pytest
from fastapi import FastAPI

from kit.database import Database
from kit.ids import new_id
from models import ApiKey
from models.base import now
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.support.waiting import wait_until
from tests.unit.api.runs.test_runs import command, reaches, start


@pytest.mark.parametrize("path", ["get", "detail"])
async def test_the_end_of_a_run_is_answered_as_it_comes(
    worker: None, client: httpx.AsyncClient, run_body: dict[str, str], path: str
) -> None:
    run = await start(client, run_body)
    await reaches(client, run["id"], "running")
    waiting = asyncio.create_task(client.get(f"/runs/{path}?id={run['id']}&wait=30"))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await command(client, run["id"], "cancel")
    answer = await waiting
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "cancelled")
    begin = monotonic()
    again = await client.get(f"/runs/{path}?id={run['id']}&wait=30")
    assert again.json() == answer.json()
    assert monotonic() - begin < 25, "a run that has ended is not waited for"


async def test_the_time_is_over(client: httpx.AsyncClient, run_body: dict[str, str]) -> None:
    run = await start(client, run_body)
    begin = monotonic()
    assert (await ContractClient(client)("getRun", id=run["id"], wait=1))["status"] == "running"
    assert monotonic() - begin > 0.9
    begin = monotonic()
    unknown = await client.get(f"/runs/get?id={new_id('r')}&wait=30")
    assert (unknown.status_code, monotonic() - begin < 25) == (404, True)
    for wait in ("51", "-1", "x", "1.5"):
        answer = await client.get(f"/runs/get?id={run['id']}&wait={wait}")
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "wait")


async def test_another_projects_run_is_not_waited_for(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    run = await start(client, run_body)
    begin = monotonic()
    assert (await stranger.get(f"/runs/get?id={run['id']}&wait=30")).status_code == 404
    assert monotonic() - begin < 25


async def test_many_wait_and_none_holds_a_connection(
    app: FastAPI, client: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    """Far more than there are connections; others are answered as if nobody waited."""
    run = await start(client, run_body)
    waiting = [asyncio.create_task(client.get(f"/runs/get?id={run['id']}&wait=10")) for _ in range(100)]
    await wait_until(lambda: app.state.api.events.stream_count >= 100)
    await wait_until(lambda: app.state.api.database.engine.pool.checkedout() == 0)
    for _ in range(10):
        assert (await client.get("/runs/list")).status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


async def test_a_key_that_is_revoked_meanwhile_learns_nothing(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database, project: ProjectKey
) -> None:
    run = await start(client, run_body)
    waiting = asyncio.create_task(client.get(f"/runs/get?id={run['id']}&wait=2"))
    await asyncio.sleep(0.3)
    async with database.transaction() as session:
        (await session.get_one(ApiKey, project.key_id)).revoked_at = now()
    assert (await waiting).status_code == 401
