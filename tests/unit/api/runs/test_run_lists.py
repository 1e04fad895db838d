"""Lists of runs: every filter, alone and together, and runs by their workflow and their chain."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from kit.database import Database
from kit.ids import new_id
from models import Run, SprintChain
from models.base import now
from models.runs.run import PrStatus, RunSource, RunStatus
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.unit.api.runs.test_runs import start

Json = dict[str, Any]


async def change(database: Database, run: Json, **values: object) -> None:
    async with database.transaction() as session:
        await session.execute(update(Run).where(col(Run.id) == run["id"]).values(**values))


async def ids(client: httpx.AsyncClient, query: str, path: str = "/runs/list") -> list[str]:
    answer = await client.get(f"{path}{'&' if '?' in path else '?'}{query}")
    assert answer.status_code == 200, answer.text
    return [run["id"] for run in answer.json()["data"]]


@pytest.fixture
async def chain(project: ProjectKey, database: Database, workflow: str) -> str:
    """The id of a sprint chain that nobody works on."""
    row = SprintChain(
        project_id=project.id,
        workflow_id=workflow,
        github_repo_url="https://github.com/org/repo",
        repository_slug="org/repo",
        prompt="x",
        sprint_start=1,
        sprint_end=2,
    )
    async with database.transaction() as session:
        session.add(row)
    return row.id


async def test_every_filter_alone_and_together(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database, chain: str
) -> None:
    a, b, c = [
        await start(client, {**run_body, "name": name}) for name in ("Alpha 100%", "Beta", "alphabet_c")
    ]
    task, moment = new_id("rt"), now()
    await change(database, a, status=RunStatus.completed, pr_status=PrStatus.merged, chain_id=chain)
    await change(database, b, status=RunStatus.failed, source=RunSource.scheduled, recurring_task_id=task)
    await change(database, c, created_at=moment - timedelta(days=400))
    a, b, c = a["id"], b["id"], c["id"]
    yesterday, tomorrow = moment - timedelta(days=1), moment + timedelta(days=1)

    def at(when: datetime) -> str:
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")

    for query, expected in {
        "status=completed": [a],
        "status=completed,failed": [b, a],
        "status=running&status=failed": [c, b],
        "status=pending": [],
        "source=scheduled": [b],
        "source=scheduled,api": [c, b, a],
        "prStatus=merged": [a],
        "prStatus=created&prStatus=merged": [a],
        f"workflowId={run_body['workflowId']}": [c, b, a],
        f"workflowId={new_id('wf')}": [],
        f"chainId={chain}": [a],
        f"recurringTaskId={task}": [b],
        "search=ALPHA": [c, a],
        "search=100%25": [a],
        "search=t_c": [c],
        "search=_": [c],
        "search=%25%25": [],
        f"createdAfter={at(yesterday)}": [b, a],
        f"createdBefore={at(yesterday)}": [c],
        f"createdAfter={at(yesterday)}&createdBefore={at(tomorrow)}&status=failed": [b],
        f"createdAfter={(moment - timedelta(days=500)).date()}&search=alpha": [a, c],
        f"createdAfter={at(tomorrow)}": [],
        f"status=failed&source=scheduled&recurringTaskId={task}&search=be": [b],
        "status=failed&source=api": [],
    }.items():
        assert await ids(client, query) == expected, query


async def test_a_list_between_moments_is_read_page_by_page(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database
) -> None:
    """Even if many of its runs were created in the same millisecond, or the very same moment."""
    runs = [await start(client, run_body) for _ in range(6)]
    moment = now().replace(microsecond=400_000)
    for index, run in enumerate(runs):
        await change(database, run, created_at=moment + timedelta(microseconds=index // 2))
    query, found = f"createdAfter={(moment - timedelta(days=1)).date()}&limit=1", []
    cursor = ""
    while True:
        answer = (await client.get(f"/runs/list?{query}{cursor}")).json()
        found += [run["id"] for run in answer["data"]]
        if not answer["hasMore"]:
            break
        cursor = f"&cursor={answer['nextCursor']}"
    assert found == [run["id"] for run in reversed(runs)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=dancing", "status"),
        ("status=running,dancing", "status"),
        ("status=", "status"),
        ("prStatus=x", "prStatus"),
        ("source=x", "source"),
        ("search=", "search"),
        ("createdAfter=yesterday", "createdAfter"),
        ("createdAfter=1700000000", "createdAfter"),
        ("createdBefore=0001-01-01T00:00:00%2B14:00", "createdBefore"),
        ("createdBefore=9999-12-31T23:59:59-12:00", "createdBefore"),
        ("search=" + "x" * 201, "search"),
    ],
)
async def test_filters_that_are_none(client: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await client.get(f"/runs/list?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field), answer.text


async def test_runs_by_workflow_and_by_chain(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    run_body: dict[str, str],
    database: Database,
    chain: str,
) -> None:
    call = ContractClient(client)
    first = await start(client, run_body)
    other = (await client.post("/workflows/create", json={"name": "Other"})).json()["data"]["id"]
    second = await start(client, {**run_body, "workflowId": other})
    await change(database, second, chain_id=chain)
    workflow = run_body["workflowId"]
    for operation, name in (("listRunsByWorkflow", "workflowId"), ("listWorkflowRuns", "id")):
        assert [run["id"] for run in await call(operation, **{name: workflow})] == [first["id"]]
        assert await call(operation, **{name: workflow}, status="completed") == []
        assert [run["id"] for run in await call(operation, **{name: other}, source="api")] == [second["id"]]
    assert [run["id"] for run in await call("listRunsByChain", chainId=chain)] == [second["id"]]
    assert await call("listRunsByChain", chainId=chain, status="failed") == []

    theirs = [
        f"/runs/by-workflow?workflowId={workflow}",
        f"/workflows/runs?id={workflow}",
        f"/runs/by-chain?chainId={chain}",
        f"/workflows/analytics?id={workflow}",
        f"/workflows/related?id={workflow}",
    ]
    for path in theirs:
        assert (await stranger.get(path)).status_code == 404, path
    for path in ("by-chain?chainId=nonsense", f"by-chain?chainId={new_id('wc')}", "by-workflow?workflowId=x"):
        assert (await client.get(f"/runs/{path}")).status_code == 404, path
    for path, field in (("by-chain", "chainId"), ("by-workflow", "workflowId")):
        assert (await client.get(f"/runs/{path}")).json()["error"]["field"] == field


async def test_a_run_is_renamed_while_it_works(
    worker: None, client: httpx.AsyncClient, stranger: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    run = await start(client, run_body)
    renamed = await ContractClient(client)("renameRun", {"runId": run["id"], "name": "Second try"})
    assert (renamed["name"], renamed["branchName"]) == ("Second try", run["branchName"])
    assert (await client.get(f"/runs/get?id={run['id']}")).json()["data"]["name"] == "Second try"
    body = {"runId": run["id"], "name": "Mine"}
    assert (await stranger.post("/runs/rename", json=body)).status_code == 404
    assert (await client.post("/runs/rename", json={**body, "name": " "})).json()["error"]["field"] == "name"
