"""Personas as a whole: copies, enabling and disabling, and their figures."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kit.database import Database
from models import Run, RunStep
from models.base import now
from models.blueprints.persona import StepRole, ThinkingEffort
from models.runs.run_step import StepStatus
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.unit.api.runs.test_runs import start


async def test_a_copy_has_everything_but_the_name(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    call = ContractClient(client)
    for kind, more in (("Skill", {}), ("Command", {}), ("Script", {"language": "bash"})):
        await call(f"create{kind}", {"name": kind.lower(), **more})
    body = {
        "name": "P",
        "type": "reviewer",
        "description": "d",
        "model": "m",
        "thinkingEffort": "max",
        "instructions": "i",
        "selectedSkills": ["skill"],
        "selectedCommands": ["command"],
        "selectedScripts": ["script"],
        "isEnabled": False,
    }
    original = await call("createPersona", body)
    copy = await call("duplicatePersona", {"personaId": original["id"]})
    assert copy["name"] == "Copy of P"
    assert copy["id"] > original["id"]
    differs = {"id", "_id", "name", "createdAt", "updatedAt"}
    assert copy.keys() == original.keys()
    assert all(copy[name] == original[name] for name in original.keys() - differs)
    assert (await call("duplicatePersona", {"id": original["id"], "name": "Q"}))["name"] == "Q"
    for verb in ("duplicate", "toggle"):
        answer = await stranger.post(f"/personas/{verb}", json={"personaId": original["id"]})
        assert answer.status_code == 404


async def test_a_disabled_persona_starts_no_run(client: httpx.AsyncClient) -> None:
    call = ContractClient(client)
    persona = await call("createPersona", {"name": "P", "type": "designer"})
    steps = [{"role": "designer", "personaId": persona["id"]}]
    workflow = await call("createWorkflow", {"name": "W", "pipelineSteps": steps})
    body = {"workflowId": workflow["id"], "prompt": "x", "githubRepoUrl": "https://github.com/o/r"}
    for wanted, answered, status in ((False, False, 409), (False, False, 409), (None, True, 201)):
        given = {} if wanted is None else {"isEnabled": wanted}
        toggled = await call("togglePersona", {"personaId": persona["id"], **given})
        assert toggled["isEnabled"] is answered
        assert (await client.post("/runs/start", json=body)).status_code == status
    refused = await client.post("/personas/toggle", json={"personaId": persona["id"], "isEnabled": "false"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "isEnabled")


def step(
    project: ProjectKey, run: dict[str, Any], persona: dict[str, Any], index: int, **fields: Any
) -> RunStep:
    return RunStep(
        project_id=project.id,
        run_id=run["id"],
        index=index,
        iteration=1,
        label="x",
        role=StepRole.designer,
        persona_id=persona["id"],
        thinking_effort=ThinkingEffort.low,
        **fields,
    )


async def test_a_personas_figures(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    database: Database,
    project: ProjectKey,
    run_body: dict[str, str],
) -> None:
    call = ContractClient(client)
    persona = await call("createPersona", {"name": "P", "type": "designer"})
    unused = await call("getPersonaAnalytics", id=persona["id"])
    assert (unused["runs"], unused["steps"], unused["successRate"]) == (0, 0, None)
    assert (unused["totalCostUsd"], unused["lastUsedAt"], unused["byModel"]) == (0, None, [])

    first, second, trashed = [await start(client, run_body) for _ in range(3)]
    lately, long_ago = now() - timedelta(hours=1), now() - timedelta(days=10)
    done, failed = StepStatus.completed, StepStatus.failed
    rows = [
        step(
            project,
            first,
            persona,
            0,
            model="a",
            status=done,
            cost_usd=Decimal(1),
            input_tokens=10,
            started_at=lately,
            completed_at=lately + timedelta(seconds=30),
            quality_score=80.0,
        ),
        step(
            project,
            first,
            persona,
            1,
            model="b",
            status=failed,
            cost_usd=Decimal(2),
            output_tokens=5,
            started_at=lately,
            completed_at=lately + timedelta(seconds=90),
        ),
        step(
            project,
            second,
            persona,
            0,
            model="a",
            status=done,
            cost_usd=Decimal("0.5"),
            cache_read_tokens=7,
            started_at=long_ago,
            completed_at=long_ago + timedelta(seconds=60),
        ),
        step(project, second, persona, 1, model="a", started_at=lately),
        step(project, trashed, persona, 0, model="c", status=done, cost_usd=Decimal(9), started_at=lately),
    ]
    async with database.transaction() as session:
        session.add_all(rows)
    async with database.transaction() as session:
        (await session.get_one(Run, trashed["id"])).trash()

    found = await call("getPersonaAnalytics", id=persona["id"])
    assert (found["days"], found["runs"], found["steps"]) == (None, 2, 4)
    assert (found["completedSteps"], found["failedSteps"]) == (2, 1)
    assert found["successRate"] == pytest.approx(2 / 3)
    assert (found["totalCostUsd"], found["averageCostUsd"]) == (3.5, 0.875)
    assert found["averageDurationSeconds"] == pytest.approx(60)
    assert found["averageQualityScore"] == 80
    assert found["tokenUsage"] == {"input": 10, "output": 5, "cacheRead": 7, "cacheWrite": 0}
    assert [(each["model"], each["steps"], each["costUsd"]) for each in found["byModel"]] == [
        ("b", 1, 2),
        ("a", 3, 1.5),
    ]
    assert found["byModel"][1]["averageDurationSeconds"] == pytest.approx(45)
    recent = await call("getPersonaAnalytics", id=persona["id"], days=3)
    assert (recent["days"], recent["runs"], recent["steps"], recent["totalCostUsd"]) == (3, 2, 3, 3)
    assert (await stranger.get("/personas/analytics", params={"id": persona["id"]})).status_code == 404
    for days in ("0", "x", "99999"):
        answer = await client.get("/personas/analytics", params={"id": persona["id"], "days": days})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "days")
