"""Two operators' projects: no operation reads or changes anything of one by a key of the other."""

import json
import re
from collections import defaultdict
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlmodel import SQLModel

import models
from kit.database import Database
from kit.ids import new_id
from models.projects.project import Role
from tests.conftest import ProjectKey, make_project
from tests.support.members import open_member_client
from tests.support.operations import OPERATIONS, PRIVATE, Operation
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.unit.api.conftest import client_of

assert models
ID = re.compile(r"\b([a-z]+)_[0-9a-f]{32}\b")
BY_ID = {operation.id: operation for operation in OPERATIONS}
REPOSITORY = {"githubRepoUrl": "https://github.com/org/repo"}
MADE_BY_EXAMPLE = ["createPersona", "createIssue", "setProviderKey", "upsertCostRate", "inviteMember"]


async def fill(client: httpx.AsyncClient, workflow: str) -> None:
    """Something of everything that is made by one request."""
    await client.post("/project/update", json=REPOSITORY)
    for name in MADE_BY_EXAMPLE:
        operation = BY_ID[name]
        body = {key: value for key, value in operation.body.items() if not ID.search(json.dumps(value))}
        answer = await client.request(operation.method, f"http://test{operation.path}", json=body)
        assert answer.is_success, answer.text
    issue = (await client.get("/issues/list")).json()["data"][0]["id"]
    repository = {**REPOSITORY, "workflowId": workflow}
    bodies: dict[str, dict[str, Any]] = {
        "/runs/start": {**repository, "prompt": "Do it"},
        "/issue-sessions/start": {"prompt": "Look"},
        "/work-chains/create": {**repository, "title": "C", "issueIds": [issue]},
        "/sprint-chains": {**repository, "sprintRange": [1, 2], "prompt": "Sprint"},
        "/recurring-tasks": {
            "title": "T",
            "prompt": "p",
            "frequency": "daily",
            "targetWorkflowId": workflow,
            "timezone": "UTC",
            "scheduledHour": 1,
            "scheduledMinute": 1,
        },
    }
    for path, body in bodies.items():
        answer = await client.post(path, json=body)
        assert answer.status_code == 201, answer.text


def tables() -> list[str]:
    return [
        name
        for name, table in SQLModel.metadata.tables.items()
        if "project_id" in table.columns and name != "idempotency_record"
    ]


async def state(database: Database, project_id: str) -> dict[str, list[Any]]:
    """All rows of a project, but for when its keys were last used."""
    found = {}
    async with database.read_only() as session:
        for table in tables():
            rows = text(
                f"SELECT to_jsonb({table}) - 'last_used_at' FROM {table} WHERE project_id = :id ORDER BY 1"
            )
            found[table] = [row[0] for row in await session.execute(rows, {"id": project_id})]
        project = text("SELECT to_jsonb(project) FROM project WHERE id = :id")
        found["project"] = [row[0] for row in await session.execute(project, {"id": project_id})]
    return found


def ids_of(rows: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Every id within the rows, by prefix."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for match in ID.finditer(json.dumps(rows)):
        found[match[1]].add(match[0])
    return {prefix: sorted(ids) for prefix, ids in found.items()}


def with_ids(body: Any, ids: dict[str, list[str]]) -> Any:
    """An example whose ids are another project's."""
    return json.loads(ID.sub(lambda match: ids.get(match[1], [new_id(match[1])])[0], json.dumps(body)))


def attempts(operation: Operation, ids: dict[str, list[str]]) -> list[tuple[str, Any]]:
    """The operation with each id in its place; where its kind is not known, one of every kind."""
    body = with_ids(operation.body, ids)
    path, _, query = operation.url.partition("?")
    places = [operation.path] if "{" in operation.path else []
    if "id=" in query.lower():
        places += [path + "?" + re.sub(r"(\w*[iI]d=)[^&]+", r"\1{id}", query)]
    kinds = [each[0] for each in ids.values()]
    urls = [re.sub(r"\{\w+\}", one, place) for place in places for one in kinds]
    return [(url, body) for url in urls or [operation.url]]


@pytest.fixture
async def theirs(client: httpx.AsyncClient, workflow: str, app: FastAPI, database: Database) -> None:
    """The first operator's project is full of things."""
    await fill(client, workflow)


async def test_no_operation_reaches_another_project(
    theirs: None, client: httpx.AsyncClient, app: FastAPI, database: Database, project: ProjectKey
) -> None:
    """An owner of another project, with every scope and every id that there is, tries everything."""
    before = await state(database, project.id)
    ids = ids_of(before)
    assert {"r", "wf", "per", "iss", "is", "wc", "sc", "rt", "kak", "user", "evt", "prj"} <= ids.keys()
    known = {one for those in ids.values() for one in those}
    other = await make_project(database)
    tried = 0
    async with client_of(app, other) as intruder:
        await intruder.post("/project/update", json=REPOSITORY)
        for operation in PRIVATE:
            if operation.path == "/api/v1/project/delete":
                continue
            for url, body in attempts(operation, ids):
                answer = await intruder.request(
                    operation.method, f"http://test{url}", json=body, timeout=TEST_TIMEOUT_SECONDS
                )
                given = {match[0] for match in ID.finditer(f"{url} {json.dumps(body)}")}
                shown = {match[0] for match in ID.finditer(answer.text)}
                assert not (shown - given) & known, (operation, answer.text)
                assert answer.status_code < 500, (operation, answer.text)
                if given & known:
                    assert not answer.is_success or ids_are_words(operation), (operation, url, answer.text)
                tried += 1
    assert tried > len(PRIVATE)
    assert await state(database, project.id) == before
    assert (await client.get("/whoami")).status_code == 200


def ids_are_words(operation: Operation) -> bool:
    """Where what is given is a filter or passed over, and another project's id finds nothing."""
    return operation.is_list or operation.path.endswith(("/bulk-delete", "/bulk-update-status"))


async def test_a_role_counts_in_its_own_project_only(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, app: FastAPI, database: Database
) -> None:
    """The same person, an owner here, is a member there, and has a key for each."""
    other = await make_project(database)
    async with open_member_client(app, database, other, Role.member) as same:
        body = {"name": "Mine now"}
        assert (await same.client.post("/project/update", json=body)).status_code == 403
        assert (await client.post("/project/update", json=body)).status_code == 200
        theirs = (await same.client.get("/project")).json()["data"]
        assert (theirs["id"], theirs["name"]) == (other.id, "Test")
