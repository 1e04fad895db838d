"""Workflows and personas: made, listed, changed."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from kit.database import Database
from models import BlueprintVersion


async def data(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


async def test_a_name_is_enough_for_a_workflow(client: httpx.AsyncClient) -> None:
    workflow = await data(await client.post("/workflows/create", json={"name": "W"}), 201)
    assert [step["role"] for step in workflow["pipelineSteps"]] == ["designer", "checker"]
    assert {step["loopId"] for step in workflow["pipelineSteps"]} == {"build"}
    assert (workflow["version"], workflow["config"]["createPr"]) == (1, True)
    assert await data(await client.get("/workflows/get", params={"id": workflow["id"]})) == workflow


async def test_every_update_of_a_workflow_is_a_version(client: httpx.AsyncClient, database: Database) -> None:
    created = await data(await client.post("/workflows/create", json={"name": "W", "description": "d"}), 201)
    config = {"draftPr": True, "maxCostUsd": 1.5, "sandbox": {"memoryMb": 2048}}
    changed = await data(
        await client.post("/workflows/update", json={"workflowId": created["id"], "config": config})
    )
    assert changed["config"] == {
        **created["config"],
        "draftPr": True,
        "maxCostUsd": 1.5,
        "sandbox": {**created["config"]["sandbox"], "memoryMb": 2048},
    }
    assert changed["updatedAt"] > created["updatedAt"]
    same = {"id", "_id", "name", "description", "pipelineSteps", "createdAt", "workflowGraph"}
    assert {name: changed[name] for name in same} == {name: created[name] for name in same}
    cleared = await data(
        await client.post("/workflows/update", json={"id": created["id"], "description": None})
    )
    assert (cleared["version"], cleared["description"], cleared["config"]) == (3, None, changed["config"])
    async with database.transaction() as session:
        statement = select(BlueprintVersion).where(col(BlueprintVersion.blueprint_id) == created["id"])
        versions = (await session.execute(statement.order_by(col(BlueprintVersion.version)))).scalars().all()
    assert [version.version for version in versions] == [1, 2, 3]
    assert versions[1].document["config"] == changed["config"]


def step(role: str = "designer", **more: object) -> dict[str, object]:
    return {"role": role, **more}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"pipelineSteps": []}, "pipelineSteps"),
        ({"pipelineSteps": [step("dancer")]}, "pipelineSteps.0.role"),
        ({"pipelineSteps": [step(surprise=1)]}, "pipelineSteps.0.surprise"),
        ({"pipelineSteps": [step(maxTurns=0)]}, "pipelineSteps.0.maxTurns"),
        ({"pipelineSteps": [step(loopId="a")]}, "pipelineSteps"),
        (
            {"pipelineSteps": [step("checker", loopId="a"), step(), step("checker", loopId="a")]},
            "pipelineSteps",
        ),
        ({"config": {"sandbox": {"memoryMb": 1}}}, "config.sandbox.memoryMb"),
        ({"config": {"maxCostUsd": 0}}, "config.maxCostUsd"),
        ({"config": None}, "config"),
        ({"workflowGraph": []}, "workflowGraph"),
    ],
)
async def test_workflows_that_cannot_be(client: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    created = await data(await client.post("/workflows/create", json={"name": "W"}), 201)
    for path, more in (("create", {"name": "W", **body}), ("update", {"workflowId": created["id"], **body})):
        answer = await client.post(f"/workflows/{path}", json=more)
        assert (answer.status_code, answer.json()["error"].get("field")) == (400, field), answer.text


async def test_personas(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    await client.post("/skills", json={"name": "s"})
    created = await data(await client.post("/personas/create", json={"name": "P", "type": "checker"}), 201)
    assert (created["cliId"], created["thinkingEffort"], created["isEnabled"]) == ("claude", "medium", True)
    body = {"personaId": created["id"], "instructions": "Look.", "selectedSkills": ["s"], "isEnabled": False}
    changed = await data(await client.post("/personas/update", json=body))
    expected = {name: value for name, value in body.items() if name != "personaId"}
    assert {name: changed[name] for name in expected} == expected
    assert (changed["name"], changed["type"]) == ("P", "checker")
    cleared = await data(
        await client.post("/personas/update", json={"id": created["id"], "instructions": None})
    )
    assert (cleared["instructions"], cleared["selectedSkills"]) == (None, ["s"])
    assert (await stranger.get("/personas/get", params={"id": created["id"]})).status_code == 404
    assert (await stranger.post("/personas/update", json=body)).status_code == 404
    for filters, count in (
        ("type=checker", 1),
        ("type=judge", 0),
        ("isEnabled=true", 0),
        ("isEnabled=false", 1),
    ):
        assert len((await client.get(f"/personas/list?{filters}")).json()["data"]) == count


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", None),
        ("type", "dancer"),
        ("thinkingEffort", "extreme"),
        ("cliId", "vim"),
        ("isEnabled", None),
        ("selectedSkills", None),
        ("selectedSkills", [""]),
        ("model", ""),
    ],
)
async def test_personas_that_cannot_be(client: httpx.AsyncClient, field: str, value: object) -> None:
    created = await data(await client.post("/personas/create", json={"name": "P", "type": "checker"}), 201)
    for body in ({"name": "P", "type": "checker"}, {"personaId": created["id"]}):
        path = "update" if "personaId" in body else "create"
        answer = await client.post(f"/personas/{path}", json={**body, field: value})
        assert answer.status_code == 400
        assert answer.json()["error"]["field"].split(".")[0] == field
