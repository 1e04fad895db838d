"""A project deleted over the API: asked for by its slug, by an owner, and closed to everybody at once."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from activities.trash.launch import project_deletion_id
from api.auth import PROPAGATION_SECONDS
from kit.database import Database
from kit.settings import Settings
from kit.temporal import connect
from models import Project
from models.projects.project import Role
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.unit.api.conftest import client_of, running
from tests.unit.api.trash.test_trash import another, code


async def slug_of(database: Database, project: ProjectKey) -> str:
    async with database.transaction() as session:
        return (await session.get_one(Project, project.id)).slug


async def test_its_keys_die_at_once_in_every_process(
    app: FastAPI, api_settings: Settings, project: ProjectKey, database: Database
) -> None:
    other_key = await another(database, project, Role.member)
    async with (
        running(api_settings) as elsewhere,
        client_of(app, project) as client,
        client_of(elsewhere, other_key) as other,
    ):
        assert (await client.get("/project")).status_code == 200
        assert (await other.get("/project")).status_code == 200
        gone = await ContractClient(client)("deleteProject", {"slug": await slug_of(database, project)})
        assert (gone["id"], gone["status"]) == (project.id, "deleting")
        await asyncio.sleep(PROPAGATION_SECONDS)
        for each in (client, other):
            assert code(await each.get("/project")) == (401, "AUTH_INVALID")
    engine: Client = await connect(api_settings)
    handle = engine.get_workflow_handle(project_deletion_id(project.id))
    assert (await handle.describe()).workflow_type == "ProjectDeletion"
    await handle.terminate()


@pytest.mark.parametrize("slug", ["", "another", "x" * 101])
async def test_another_slug_deletes_nothing(client: httpx.AsyncClient, slug: str) -> None:
    answer = await client.post("/project/delete", json={"slug": slug})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "slug")
    assert (await client.get("/project")).status_code == 200
    assert (await client.post("/project/delete")).status_code == 400


async def test_only_an_owner_may(app: FastAPI, project: ProjectKey, database: Database) -> None:
    for role in (Role.member, Role.admin):
        async with client_of(app, await another(database, project, role)) as client:
            answer = await client.post("/project/delete", json={"slug": await slug_of(database, project)})
            assert code(answer) == (403, "FORBIDDEN")
            assert (await client.get("/project")).status_code == 200


async def test_deleted_while_the_engine_is_away(
    unplugged: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    answer = await unplugged.post("/project/delete", json={"slug": await slug_of(database, project)})
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "deleting")
    assert code(await unplugged.get("/project")) == (401, "AUTH_INVALID")
