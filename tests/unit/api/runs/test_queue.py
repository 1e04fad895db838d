"""A project that bounds how many runs are at work: the others wait, and say where they stand."""

from typing import Any

import httpx
import pytest

from tests.support.contract_client import ContractClient
from tests.unit.api.runs.test_runs import command, events, start


async def set_limit(client: httpx.AsyncClient, most: int | None) -> None:
    answer = await client.post("/project/settings/update", json={"maxConcurrentRuns": most})
    assert answer.json()["data"]["maxConcurrentRuns"] == most, answer.text


@pytest.fixture
async def three(client: httpx.AsyncClient, run_body: dict[str, str]) -> list[dict[str, Any]]:
    """Three runs of a project that may have one at work."""
    await set_limit(client, 1)
    return [await start(client, run_body) for _ in range(3)]


async def positions(client: httpx.AsyncClient, runs: list[dict[str, Any]]) -> list[int | None]:
    call = ContractClient(client)
    found = [await call("getRunDetail", id=run["id"]) for run in runs]
    reasons = [(await client.get(f"/runs/{run['id']}/why")).json()["data"] for run in runs]
    assert [run["queuePosition"] for run in found] == [why["queuePosition"] for why in reasons]
    assert [why["code"] for why in reasons if why["queuePosition"]] == ["QUEUED"] * (
        len(found) - [run["queuePosition"] for run in found].count(None)
    )
    return [run["queuePosition"] for run in found]


async def test_queued_runs_report_their_position(
    client: httpx.AsyncClient, three: list[dict[str, Any]]
) -> None:
    assert [run["status"] for run in three] == ["running", "pending", "pending"]
    assert await positions(client, three) == [None, 1, 2]
    assert await events(client, three[0]["id"]) == ["run.created", "run.started"]
    assert await events(client, three[1]["id"]) == ["run.created", "run.queued"]
    why = (await client.get(f"/runs/{three[1]['id']}/why")).json()["data"]
    assert "maxConcurrentRuns" in why["message"]
    assert why["isWaiting"] is True


async def test_a_cancelled_run_leaves_the_queue(
    client: httpx.AsyncClient, three: list[dict[str, Any]]
) -> None:
    await command(client, three[1]["id"], "cancel")
    assert await positions(client, three) == [None, None, 1]


async def test_runs_start_at_once_without_a_limit(
    client: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    await set_limit(client, None)
    assert [(await start(client, run_body))["status"] for _ in range(2)] == ["running"] * 2


@pytest.mark.parametrize("most", [0, -1, 10_001, 1.5, "two", True])
async def test_a_limit_is_a_number_of_runs(client: httpx.AsyncClient, most: object) -> None:
    answer = await client.post("/project/settings/update", json={"maxConcurrentRuns": most})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "maxConcurrentRuns")
