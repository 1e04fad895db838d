"""Workflows as a whole: their versions, reverting, copies, new names, and changes that depend on a state."""

import asyncio
from typing import Any

import httpx
import pytest

from kit.ids import new_id
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient

Json = dict[str, Any]


async def make(client: httpx.AsyncClient, **body: Any) -> Json:
    created = await client.post("/workflows/create", json={"name": "Build", **body})
    assert created.status_code == 201, created.text
    workflow: Json = created.json()["data"]
    return workflow


async def test_every_change_is_a_version_with_its_author(
    client: httpx.AsyncClient, project: ProjectKey
) -> None:
    call = ContractClient(client)
    first = await make(client)
    renamed = await call("renameWorkflow", {"workflowId": first["id"], "name": "Ship"})
    assert (renamed["name"], renamed["version"]) == ("Ship", 2)
    await call("updateWorkflow", {"id": first["id"], "config": {"draftPr": True}, "description": "d"})
    reverted = await call("revertWorkflow", {"workflowId": first["id"], "version": 1})
    document = {"name", "description", "pipelineSteps", "config", "workflowGraph"}
    assert {name: reverted[name] for name in document} == {name: first[name] for name in document}
    assert reverted["version"] == 4

    versions = await call("listWorkflowVersions", id=first["id"])
    assert [each["version"] for each in versions] == [4, 3, 2, 1]
    assert [each["document"]["name"] for each in versions] == ["Build", "Ship", "Ship", "Build"]
    assert versions[1]["document"]["config"]["draftPr"] is True
    assert {each["createdBy"]["id"] for each in versions} == {project.member_id}
    assert {each["workflowId"] for each in versions} == {first["id"]}
    page = (await client.get("/workflows/versions", params={"id": first["id"], "limit": 3})).json()
    rest = await call("listWorkflowVersions", id=first["id"], limit=3, cursor=page["nextCursor"])
    assert (page["hasMore"], [each["version"] for each in rest]) == (True, [1])


async def test_copy_starts_at_version_one(client: httpx.AsyncClient) -> None:
    call = ContractClient(client)
    original = await make(client, name="x" * 200, description="d", workflowGraph={"a": 1})
    await call("updateWorkflow", {"id": original["id"], "config": {"createPr": False}})
    copy = await call("duplicateWorkflow", {"workflowId": original["id"]})
    assert (copy["name"], copy["version"]) == (f"Copy of {'x' * 192}", 1)
    assert (copy["description"], copy["workflowGraph"]) == ("d", {"a": 1})
    assert copy["config"]["createPr"] is False
    named = await call("duplicateWorkflow", {"id": original["id"], "name": "Mine"})
    assert named["name"] == "Mine"
    assert [each["version"] for each in await call("listWorkflowVersions", id=copy["id"])] == [1]


async def test_what_cannot_be_done_with_a_workflow(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    workflow = await make(client)
    for verb, body in (("revert", {"version": 1}), ("duplicate", {}), ("rename", {"name": "Mine now"})):
        answer = await stranger.post(f"/workflows/{verb}", json={"workflowId": workflow["id"], **body})
        assert answer.status_code == 404, verb
    assert (await stranger.get("/workflows/versions", params={"id": workflow["id"]})).status_code == 404
    unknown = await client.post("/workflows/revert", json={"workflowId": workflow["id"], "version": 2})
    assert unknown.status_code == 404
    for verb, body, field in (
        ("revert", {"version": 0}, "version"),
        ("revert", {"version": "1"}, "version"),
        ("rename", {"name": " "}, "name"),
        ("duplicate", {"name": "x" * 201}, "name"),
    ):
        answer = await client.post(f"/workflows/{verb}", json={"workflowId": workflow["id"], **body})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, field), answer.text


async def test_changes_at_the_same_time_are_versions_one_after_the_other(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    bodies = [{"workflowId": workflow["id"], "name": f"Name {index}"} for index in range(8)]
    answers = await asyncio.gather(*(client.post("/workflows/rename", json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    versions = (await client.get("/workflows/versions", params={"id": workflow["id"]})).json()["data"]
    assert [each["version"] for each in versions] == [9, 8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("workflows", {"verb": "update", "body": {"description": "new"}}),
        ("workflows", {"verb": "rename", "body": {"name": "new"}}),
        ("workflows", {"verb": "revert", "body": {"version": 1}}),
        ("personas", {"verb": "update", "body": {"description": "new"}}),
        ("personas", {"verb": "toggle", "body": {"isEnabled": False}}),
    ],
)
async def test_a_change_may_depend_on_the_state_that_was_seen(
    client: httpx.AsyncClient, kind: str, change: Json
) -> None:
    body = {"name": "W", "type": "judge"} if kind == "personas" else {"name": "W"}
    id = (await client.post(f"/{kind}/create", json=body)).json()["data"]["id"]  # noqa: A001
    name = "personaId" if kind == "personas" else "workflowId"
    seen = await client.get(f"/{kind}/get", params={"id": id})
    tag = seen.headers["ETag"]
    same = await client.get(f"/{kind}/get", params={"id": id}, headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)

    path, whole = f"/{kind}/{change['verb']}", {name: id, **change["body"]}
    fresh = await client.post(path, json=whole, headers={"If-Match": tag})
    assert fresh.status_code == 200, fresh.text
    stale = await client.post(path, json=whole, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    now = await client.get(f"/{kind}/get", params={"id": id}, headers={"If-None-Match": tag})
    assert (now.status_code, now.json()["data"]) == (200, fresh.json()["data"])
    assert fresh.headers["ETag"] == now.headers["ETag"] != tag


async def test_the_list_says_which_tools_and_models_work(client: httpx.AsyncClient) -> None:
    call = ContractClient(client)
    persona = await client.post(
        "/personas/create", json={"name": "P", "type": "designer", "model": "claude-opus-5-5"}
    )
    steps = [
        {"role": "designer", "personaId": persona.json()["data"]["id"]},
        {"role": "designer", "personaId": new_id("per")},
        {"role": "designer", "model": "claude-haiku-5-5"},
        {"role": "optimizer"},
    ]
    workflow = await make(client, name="100%_Build", pipelineSteps=steps)
    await make(client, name="Other")
    [shown] = await call("listWorkflows", search="0%_b")
    assert shown["id"] == workflow["id"]
    assert (shown["stepCount"], shown["lastRunAt"]) == (4, None)
    assert shown["cliSummary"] == [
        {"cliId": "claude", "model": None, "steps": 2},
        {"cliId": "claude", "model": "claude-haiku-5-5", "steps": 1},
        {"cliId": "claude", "model": "claude-opus-5-5", "steps": 1},
    ]
    assert await call("listWorkflows", search="_B") == [shown]
    assert await call("listWorkflows", search="%%") == []
    started = await client.post(
        "/runs/start",
        json={
            "workflowId": (await make(client))["id"],
            "prompt": "x",
            "githubRepoUrl": "https://github.com/o/r",
        },
    )
    newest, *_ = await call("listWorkflows")
    assert newest["lastRunAt"] == started.json()["data"]["createdAt"]
