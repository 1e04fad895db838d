"""Sprint chains by REST, with the real workflow and runs that wait until they are stopped."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from kit.database import Database
from models import Event, SprintChain
from models.chains.chain import ChainStatus
from models.event import EventType
from tests.support.contract_client import ContractClient
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.unit.api.runs.test_runs import reaches as run_reaches

Body = dict[str, Any]


@pytest.fixture
async def body(workflow: str) -> Body:
    return {
        "workflowId": workflow,
        "sprintRange": [1, 5],
        "prompt": "Migrate part {{sprint}} of {{sprintCount}}",
        "githubRepoUrl": "https://github.com/org/repo",
        "branchName": "feature/validation-migration",
    }


async def created(client: httpx.AsyncClient, body: Body, **changes: Any) -> Body:
    answer = await client.post("/sprint-chains", json={**body, **changes})
    assert answer.status_code == 201, answer.text
    chain: Body = answer.json()["data"]
    return chain


async def reaches(client: httpx.AsyncClient, chain: Body, status: str, sprints: int = 0) -> Body:
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while True:
            row: Body = (await client.get(f"/sprint-chains/{chain['id']}")).json()["data"]
            if row["status"] == status and len(row["sprintRunIds"]) >= sprints:
                return row
            await asyncio.sleep(0.02)


async def test_they_are_as_documented(client: httpx.AsyncClient, worker: None, body: Body) -> None:
    ask = ContractClient(client)
    chain = await ask("createSprintChain", body)
    assert {name: chain[name] for name in body} == body
    assert chain["status"] == "running"
    chain = await reaches(client, chain, "running", sprints=1)
    assert chain == await ask("getSprintChain", path=chain["id"])
    assert [each["id"] for each in await ask("listSprintChains")] == [chain["id"]]
    assert (await ask("pauseSprintChain", path=chain["id"]))["status"] == "paused"
    assert (await ask("resumeSprintChain", path=chain["id"]))["status"] == "running"
    stopping = await ask("deleteSprintChain", path=chain["id"])
    assert (stopping["status"], stopping["isStopping"]) == ("running", True)
    refused = await client.post(f"/sprint-chains/{chain['id']}/pause")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    [run] = chain["sprintRunIds"]
    detail = (await client.get("/runs/get", params={"id": run})).json()["data"]
    assert (detail["source"], detail["chainId"]) == ("sprint_chain", chain["id"])
    assert detail["prompt"] == "Migrate part 1 of 5"
    assert detail["baseBranch"] == "feature/validation-migration"
    await client.post(f"/runs/{run}/graceful-stop")
    await reaches(client, chain, "cancelled")
    assert (await ask("deleteSprintChain", path=chain["id"]))["status"] == "cancelled"
    assert (await client.get(f"/sprint-chains/{chain['id']}")).status_code == 404
    assert await ask("listSprintChains") == []


async def test_it_begins_and_goes_on_where_it_is_told(
    client: httpx.AsyncClient, worker: None, body: Body
) -> None:
    chain = await created(client, body, resumeFromSprint=2)
    chain = await reaches(client, chain, "running", sprints=3)
    assert (chain["currentSprintIndex"], chain["sprintRunIds"][:2]) == (2, [None, None])
    run = chain["sprintRunIds"][2]
    await run_reaches(client, run, "running")
    await client.post(f"/runs/{run}/cancel")
    failed = await reaches(client, chain, "failed")
    assert (failed["error"]["code"], failed["error"]["runId"]) == ("SPRINT_FAILED", run)
    assert failed["sprints"] == [{"index": 2, "runId": run, "status": "cancelled", "prUrl": None}]
    assert failed["sprintPrUrls"] == []
    refused = await client.post(f"/sprint-chains/{chain['id']}/pause")
    assert refused.status_code == 409
    again = await client.post(f"/sprint-chains/{chain['id']}/resume", json={"resumeFromSprint": 4})
    assert (again.status_code, again.json()["data"]["status"]) == (200, "running")
    assert again.json()["data"]["resumeFromSprint"] == 4
    row = await reaches(client, chain, "running", sprints=5)
    assert (row["currentSprintIndex"], row["error"]) == (4, None)


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"sprintRange": [5, 1]}, 400, "sprintRange"),
        ({"sprintRange": [1]}, 400, "sprintRange"),
        ({"sprintRange": [1, 2000]}, 400, "sprintRange"),
        ({"sprintRange": "1-5"}, 400, "sprintRange"),
        ({"resumeFromSprint": 5}, 400, "resumeFromSprint"),
        ({"resumeFromSprint": -1}, 400, "resumeFromSprint"),
        ({"githubRepoUrl": "https://evil.example/org/repo"}, 400, "githubRepoUrl"),
        ({"prompt": ""}, 400, "prompt"),
        ({"prompt": " \n"}, 400, "prompt"),
        ({"sprintRange": ["1", 2]}, 400, "sprintRange.0"),
        ({"branchName": "two words"}, 400, "branchName"),
        ({"workflowId": "wf_" + "0" * 32}, 404, None),
    ],
)
async def test_what_a_chain_cannot_be(
    client: httpx.AsyncClient, body: Body, changes: Body, status: int, field: str | None
) -> None:
    answer = await client.post("/sprint-chains", json={**body, **changes})
    assert (answer.status_code, answer.json()["error"].get("field")) == (status, field), answer.text
    assert (await client.get("/sprint-chains")).json()["data"] == []


async def test_without_the_engine_it_waits_and_is_cancelled_at_once(
    client: httpx.AsyncClient, unplugged: httpx.AsyncClient, body: Body, database: Database
) -> None:
    chain = await created(unplugged, body)
    assert chain["status"] == "pending"
    assert (await unplugged.post(f"/sprint-chains/{chain['id']}/pause")).status_code == 503
    cancelled = await unplugged.delete(f"/sprint-chains/{chain['id']}")
    assert (cancelled.status_code, cancelled.json()["data"]["status"]) == (200, "cancelled")
    async with database.transaction() as session:
        found = await session.exec(select(Event).where(col(Event.subject_id) == chain["id"]))
        [ended] = [event for event in found if event.type == EventType.chain_ended]
    assert ended.data == {"status": "cancelled", "code": None, "runId": None}
    refused = await client.post(f"/sprint-chains/{chain['id']}/resume")
    assert refused.status_code == 409


async def test_another_projects_chain_is_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, body: Body, database: Database
) -> None:
    chain = await created(client, body)
    for answer in (
        await stranger.get(f"/sprint-chains/{chain['id']}"),
        await stranger.post(f"/sprint-chains/{chain['id']}/pause"),
        await stranger.post(f"/sprint-chains/{chain['id']}/resume"),
        await stranger.delete(f"/sprint-chains/{chain['id']}"),
        await stranger.post("/sprint-chains", json=body),
    ):
        assert answer.status_code == 404
    async with database.transaction() as session:
        assert (await session.get_one(SprintChain, chain["id"])).status is not ChainStatus.cancelled
