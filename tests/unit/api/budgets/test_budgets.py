"""Caps by the API: given at the start, shown, raised, lowered, removed, and refused where they cannot be."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kit.database import Database
from kit.ids import new_id
from models import AgentSession, ApiKey, Budget, BudgetWait, Member, Reservation, Run, Sandbox
from models.agent.session_kind import SessionKind
from models.base import now
from models.blueprints.persona import ThinkingEffort
from models.budgets.money_code import BudgetWaitCode
from models.budgets.reservation import LEASE_DURATION
from models.projects.api_key import SCOPES
from models.projects.project import Role
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.unit.api.conftest import client_of
from tests.unit.api.runs.test_runs import command, get, reaches

SPRINTS: dict[str, Any] = {
    "sprintRange": [1, 2],
    "prompt": "Sprint {{sprint}}",
    "githubRepoUrl": "https://github.com/org/repo",
}
NO_CAP = {"capUsd": None, "spentUsd": 0, "reservedUsd": 0}


async def start(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/runs/start", json=body)
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()["data"]
    return run


async def put(client: httpx.AsyncClient, path: str, cap: object, status: int = 200) -> dict[str, Any]:
    answer = await client.put(path, json={"maxCostUsd": cap})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["data" if status < 300 else "error"]
    return found


async def a_session(database: Database, run_id: str) -> AgentSession:
    """The agent session of a run, as if it worked."""
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id)
        box = Sandbox(project_id=run.project_id, job_id=run_id, name="n", template_id="base", timeout_ms=1)
        agent = AgentSession(
            project_id=run.project_id,
            job_id=run_id,
            sandbox_id=box.id,
            kind=SessionKind.worker,
            label="Work",
            model="claude-sonnet-5",
            thinking_effort=ThinkingEffort.low,
            system="s",
            max_turns=9,
        )
        for row in (box, agent):
            session.add(row)
            await session.flush()
        return agent


async def hold(database: Database, agent: AgentSession, needs: str, budget_id: str) -> None:
    """Pause the session's run for money, as its workflow does."""
    async with database.transaction() as session:
        run = await session.get_one(Run, agent.job_id, with_for_update=True)
        run.pause_for_budget({"code": "BUDGET_REACHED", "message": "No money."})
        session.add(
            BudgetWait(
                session_id=agent.id,
                budget_id=budget_id,
                job_id=run.id,
                code=BudgetWaitCode.reached,
                needs_usd=Decimal(needs),
                model=agent.model,
            )
        )


async def test_a_run_shows_its_budget_and_takes_another(
    client: httpx.AsyncClient, database: Database, worker: None, run_body: dict[str, Any]
) -> None:
    run = await start(client, {**run_body, "maxCostUsd": 1.5})
    assert run["budget"] == {"capUsd": 1.5, "spentUsd": 0, "reservedUsd": 0}
    checked = ContractClient(client)
    changed = await checked("setRunBudget", {"maxCostUsd": 2.12345678}, path=run["id"])
    assert changed == {"capUsd": 2.12345678, "spentUsd": 0, "reservedUsd": 0}
    agent = await a_session(database, run["id"])
    before = (await client.get("/project/settings")).headers["etag"]
    async with database.transaction() as session:
        (await session.get_one(Run, run["id"])).cost_usd = Decimal("0.25")
        session.add(
            Reservation(
                session_id=agent.id,
                sequence=6,
                project_id=agent.project_id,
                job_id=run["id"],
                owner="x",
                amount_usd=Decimal("0.5"),
                leased_until=now() + LEASE_DURATION,
            )
        )
    shown = (await get(client, run["id"]))["budget"]
    assert shown == {"capUsd": 2.12345678, "spentUsd": 0.25, "reservedUsd": 0.5}
    removed = await put(client, f"/runs/{run['id']}/budget", None)
    assert removed["capUsd"] is None
    project = await checked("getProjectBudget")
    assert project == {"capUsd": None, "spentUsd": 0, "reservedUsd": 0.5}
    assert (await client.get("/project/settings")).headers["etag"] == before, "work changes no settings"


async def test_the_workflows_cap_holds_unless_the_run_has_its_own(
    client: httpx.AsyncClient, workflow: str, run_body: dict[str, Any]
) -> None:
    body = {"workflowId": workflow, "config": {"maxCostUsd": 0.75}}
    assert (await client.post("/workflows/update", json=body)).status_code == 200
    assert (await start(client, run_body))["budget"]["capUsd"] == 0.75
    assert (await start(client, {**run_body, "maxCostUsd": 3}))["budget"]["capUsd"] == 3


async def test_a_restarted_run_keeps_the_cap_that_was_raised(
    client: httpx.AsyncClient, worker: None, run_body: dict[str, Any]
) -> None:
    run = await start(client, {**run_body, "maxCostUsd": 1})
    await put(client, f"/runs/{run['id']}/budget", 4)
    await command(client, run["id"], "graceful-stop")
    await reaches(client, run["id"], "cancelled")
    assert (await put(client, f"/runs/{run['id']}/budget", 5, 409))["code"] == "CONFLICT"
    again = await command(client, run["id"], "restart", 201)
    assert again["budget"] == {"capUsd": 4, "spentUsd": 0, "reservedUsd": 0}


async def test_chains_and_the_project_have_caps_too(client: httpx.AsyncClient, workflow: str) -> None:
    checked = ContractClient(client)
    chain = await checked("createSprintChain", {**SPRINTS, "workflowId": workflow, "maxCostUsd": 12})
    assert chain["budget"] == {"capUsd": 12, "spentUsd": 0, "reservedUsd": 0}
    changed = await checked("setSprintChainBudget", {"maxCostUsd": 15}, path=chain["id"])
    assert changed["capUsd"] == 15
    [issue] = [
        (await client.post("/issues/create", json={"title": "Fix", "description": "It"})).json()["data"]
    ]
    body = {
        "title": "Fixes",
        "issueIds": [issue["id"]],
        "workflowId": workflow,
        "maxCostUsd": 3,
        "githubRepoUrl": "https://github.com/org/repo",
    }
    chain = await checked("createWorkChain", body)
    assert chain["budget"]["capUsd"] == 3
    assert (await checked("setWorkChainBudget", {"maxCostUsd": None}, path=chain["id"])) == NO_CAP
    assert (await checked("setProjectBudget", {"maxCostUsd": 100}))["capUsd"] == 100
    assert (await checked("getProjectBudget"))["capUsd"] == 100
    assert (await checked("getSettings"))["maxCostUsd"] == 100
    bare = await checked("createSprintChain", {**SPRINTS, "workflowId": workflow})
    assert bare["budget"] == NO_CAP


async def test_a_merge_has_a_cap_that_can_be_raised(client: httpx.AsyncClient) -> None:
    repository = {"githubRepoUrl": "https://github.com/org/repo"}
    assert (await client.post("/project/update", json=repository)).status_code == 200
    pulls = [{"prUrl": f"https://github.com/org/repo/pull/{number}", "prNumber": number} for number in (1, 2)]
    checked = ContractClient(client)
    config = {"maxCostUsd": 2, "model": "gpt-x"}
    refused = await client.post("/merging/start", json={"pullRequests": pulls, "config": config})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "config.maxCostUsd")
    job = await checked("startMergeOfPullRequests", {"pullRequests": pulls, "config": {"maxCostUsd": 2}})
    assert job["budget"]["capUsd"] == 2
    assert (await checked("setMergeBudget", {"maxCostUsd": 7}, path=job["id"]))["capUsd"] == 7
    shown = (await client.get("/merging/get", params={"id": job["id"]})).json()["data"]
    assert shown["budget"]["capUsd"] == 7


@pytest.mark.parametrize(
    "value", ["1e400", "-1", "0", '"5"', "true", "NaN", "1.123456789", "1000000.5", "[]", '{"a": 1}']
)
async def test_what_is_no_amount_is_refused(
    client: httpx.AsyncClient, run_body: dict[str, Any], value: str
) -> None:
    headers = {"Content-Type": "application/json"}
    body = f'{{"maxCostUsd": {value}}}'
    answer = await client.put("/project/budget", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION")
    if value not in ("NaN", "1e400"):  # neither is JSON that can be read
        assert answer.json()["error"]["field"] == "maxCostUsd"
    given = ", ".join(f'"{name}": "{text}"' for name, text in run_body.items())
    answer = await client.post("/runs/start", content=f'{{{given}, "maxCostUsd": {value}}}', headers=headers)
    assert answer.status_code == 400


async def test_a_cap_has_to_be_given(client: httpx.AsyncClient) -> None:
    answer = await client.put("/project/budget", json={})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "maxCostUsd")


async def test_only_who_may_changes_a_cap(
    app: FastAPI,
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    database: Database,
    project: ProjectKey,
    workflow: str,
    run_body: dict[str, Any],
) -> None:
    member = Member(project_id=project.id, email="m@example.com", name="M", role=Role.member)
    key, secret = ApiKey.generate(project_id=project.id, member_id=member.id, name="m", scopes=[*SCOPES])
    async with database.transaction() as session:
        session.add(member)
        await session.flush()
        session.add(key)
    run = await start(client, run_body)
    chain = (await client.post("/sprint-chains", json={**SPRINTS, "workflowId": workflow})).json()["data"]
    async with client_of(app, ProjectKey(project.id, member.id, key.id, secret)) as low:
        assert (await put(low, "/project/budget", 5, 403))["code"] == "FORBIDDEN"
        await put(low, f"/runs/{run['id']}/budget", 5)
    for path in (f"/runs/{run['id']}/budget", f"/sprint-chains/{chain['id']}/budget"):
        assert (await put(stranger, path, 5, 404))["code"] == "NOT_FOUND"
    for path in ("runs", "sprint-chains", "work-chains", "merging"):
        for unknown in ("x", new_id("r"), new_id("sc"), new_id("mj")):
            await put(client, f"/{path}/{unknown}/budget", 5, 404)
    assert (await client.get("/project/settings")).json()["data"]["maxCostUsd"] is None


async def test_a_model_without_a_price_is_refused_where_a_cap_applies(
    client: httpx.AsyncClient, workflow: str, run_body: dict[str, Any]
) -> None:
    steps = [
        {"role": "designer", "label": "Design"},
        {"role": "custom", "label": "Polish", "model": "gpt-x"},
    ]
    await client.post("/workflows/update", json={"workflowId": workflow, "pipelineSteps": steps})
    run = await start(client, run_body)
    assert run["budget"]["capUsd"] is None
    refused = await client.post("/runs/start", json={**run_body, "maxCostUsd": 5})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["field"]) == (400, "VALIDATION", "maxCostUsd")
    assert "Step 1 (Polish) uses the model gpt-x, which has no price" in error["message"]
    chain = await client.post("/sprint-chains", json={**SPRINTS, "workflowId": workflow, "maxCostUsd": 5})
    assert (chain.status_code, chain.json()["error"]["field"]) == (400, "maxCostUsd")
    await put(client, "/project/budget", 5)
    refused = await client.post("/runs/start", json=run_body)
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "workflowId")
    assert "the project's cap" in refused.json()["error"]["message"]
    await put(client, f"/runs/{run['id']}/budget", 5)  # set later, it is looked at with the next call


async def test_a_run_without_money_says_which_cap_and_resumes_with_enough(
    client: httpx.AsyncClient,
    database: Database,
    worker: None,
    run_body: dict[str, Any],
    project: ProjectKey,
) -> None:
    run = await start(client, {**run_body, "maxCostUsd": 1})
    agent = await a_session(database, run["id"])
    async with database.transaction() as session:
        (await session.get_one(Budget, run["id"])).spent_usd = Decimal("0.97")
        (await session.get_one(Run, run["id"])).cost_usd = Decimal("0.97")
    await hold(database, agent, "0.0834", run["id"])
    shown = await get(client, run["id"])
    assert (shown["status"], shown["waiting"]["code"]) == ("paused", "BUDGET_REACHED")
    why = await ContractClient(client)("explainRun", path=run["id"])
    assert (why["code"], why["isWaiting"]) == ("BUDGET_REACHED", True)
    assert why["budgets"] == [
        {
            "scope": "run",
            "holderId": run["id"],
            "capUsd": 1,
            "spentUsd": 0.97,
            "reservedUsd": 0,
            "neededUsd": 0.0834,
            "changeWith": f"PUT /api/v1/runs/{run['id']}/budget",
        }
    ]
    refused = await command(client, run["id"], "resume", 409)
    assert "0.9700 of 1.0000 USD are spent" in refused["message"]
    assert f"PUT /api/v1/runs/{run['id']}/budget" in refused["message"]
    await command(client, run["id"], "pause")
    assert "It was paused, too" in (await client.get(f"/runs/{run['id']}/why")).json()["data"]["message"]
    await command(client, run["id"], "resume")
    assert (await get(client, run["id"]))["status"] == "paused", "it still has no money"
    await put(client, f"/runs/{run['id']}/budget", 2)
    assert (await command(client, run["id"], "resume"))["id"] == run["id"], "there is enough by now"
