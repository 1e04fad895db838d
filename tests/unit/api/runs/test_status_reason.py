"""What a run waits for, asked while it does."""

from typing import Any

import httpx

from kit.database import Database
from models import Run
from tests.support.contract_client import ContractClient
from tests.unit.api.runs.test_runs import command, reaches, start


async def why(client: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = await ContractClient(client)("explainRun", path=run["id"])
    assert told["id"] == run["id"]
    return told


async def test_a_run_that_no_engine_has_yet_is_queued(
    unplugged: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    told = await why(unplugged, await start(unplugged, run_body))
    assert (told["status"], told["code"], told["isWaiting"]) == ("pending", "QUEUED", True)


async def test_a_held_run_says_how_to_let_it_go_on(
    client: httpx.AsyncClient, worker: None, run_body: dict[str, str]
) -> None:
    run = await start(client, run_body)
    assert (await why(client, run))["code"] == "WORKING"
    await command(client, run["id"], "pause")
    told = await why(client, run)
    assert (told["code"], told["isWaiting"]) == ("PAUSED", True)
    assert f"/runs/{run['id']}/resume" in told["message"]
    await command(client, run["id"], "resume")
    assert (await why(client, run))["isWaiting"] is False
    await command(client, run["id"], "graceful-stop")
    await reaches(client, run["id"], "cancelled")
    assert (await why(client, run))["code"] == "ENDED"


async def test_a_limit_says_until_when(
    client: httpx.AsyncClient, database: Database, run_body: dict[str, str]
) -> None:
    run = await start(client, run_body)
    until = "2026-01-15T10:06:12.345Z"
    async with database.transaction() as session:
        row = await session.get_one(Run, run["id"], with_for_update=True)
        row.waiting = {"code": "PROVIDER_LIMIT", "message": "The model API is overloaded.", "until": until}
    told = await why(client, run)
    assert (told["code"], told["until"], told["isWaiting"]) == ("PROVIDER_LIMIT", until, True)


async def test_another_projects_run_is_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    run = await start(client, run_body)
    assert (await stranger.get(f"/runs/{run['id']}/why")).status_code == 404
