"""Pull requests, as the runs recorded them."""

from typing import Any

import httpx
import pytest

from kit.database import Database
from models import Run
from models.base import JsonObject
from models.runs.run import PrStatus
from tests.support.contract_client import ContractClient
from tests.unit.api.runs.test_runs import start

CHECKS: JsonObject = {
    "status": "failed",
    "checkedAt": "2026-01-15T10:30:00.000Z",
    "checks": [{"name": "test", "status": "failure", "conclusion": "failure", "url": None}],
}


@pytest.fixture
async def made(client: httpx.AsyncClient, database: Database, run_body: dict[str, str]) -> dict[str, str]:
    """Ids of runs by the status of their pull request; one more run has none."""
    wanted = [PrStatus.created, PrStatus.blocked_on_ci, PrStatus.skipped]
    runs = {status.value: (await start(client, run_body))["id"] for status in wanted}
    await start(client, run_body)
    async with database.transaction() as session:
        for number, (status, run_id) in enumerate(runs.items(), 1):
            run = await session.get_one(Run, run_id, with_for_update=True)
            run.pr_status = PrStatus(status)
            if run.pr_status is not PrStatus.skipped:
                run.pr_number, run.pr_url = number, f"https://github.com/org/repo/pull/{number}"
                run.ci_checks = CHECKS
    return runs


async def listed(client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await ContractClient(client)("listPullRequests", **query)
    return found


async def test_every_field_that_is_promised(client: httpx.AsyncClient, made: dict[str, str]) -> None:
    [one] = await listed(client, status="blocked_on_ci")
    assert one == {
        "id": made["blocked_on_ci"],
        "_id": made["blocked_on_ci"],
        "runId": made["blocked_on_ci"],
        "runName": "Do it",
        "repositorySlug": "org/repo",
        "branchName": "codecourier/2-do-it",
        "prUrl": "https://github.com/org/repo/pull/2",
        "prNumber": 2,
        "prStatus": "blocked_on_ci",
        "ciChecks": CHECKS,
    }


async def test_they_are_listed_and_found(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, made: dict[str, str]
) -> None:
    newest_first = [made["skipped"], made["blocked_on_ci"], made["created"]]
    assert [each["runId"] for each in await listed(client)] == newest_first
    assert [each["runId"] for each in await listed(client, status="created")] == [made["created"]]
    assert [each["prStatus"] for each in await listed(client, runId=made["skipped"])] == ["skipped"]
    assert await listed(client, status="merged") == []
    assert await listed(client, status="created", runId=made["skipped"]) == []
    assert await listed(stranger) == await listed(stranger, runId=made["created"]) == []
    refused = await client.get("/pull-requests", params={"status": "open"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "status")


async def test_they_come_in_pages(client: httpx.AsyncClient, made: dict[str, str]) -> None:
    seen, cursor = [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/pull-requests", params=query)).json()
        seen += [each["runId"] for each in page["data"]]
        if not (cursor := page["nextCursor"]):
            break
    assert seen == [made["skipped"], made["blocked_on_ci"], made["created"]]
