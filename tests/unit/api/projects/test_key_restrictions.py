"""Keys cannot be outgrown: attacks that were proved once, and how they fail."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kit.database import Database
from kit.ids import new_id
from models import ApiKey
from models.projects.members import ProjectMembers
from models.projects.project import Role
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.support.members import MemberClient, open_member_client, status_and_code
from tests.unit.api.conftest import client_of
from tests.unit.api.projects.test_members import waiting

GENERATE, REVOKE = "/project/api-keys/generate", "/project/api-keys/revoke"
SCOPES = ["api-keys:write", "projects:read"]


async def make(client: httpx.AsyncClient, **body: object) -> dict[str, Any]:
    answer = await client.post(GENERATE, json={"name": "n", "scopes": SCOPES, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


def using(app: FastAPI, made: dict[str, Any]) -> httpx.AsyncClient:
    client = client_of(app)
    client.headers["Authorization"] = f"Bearer {made['key']}"
    return client


async def lives(app: FastAPI, made: dict[str, Any]) -> bool:
    async with using(app, made) as client:
        answer = await client.get("/whoami")
    return answer.status_code == 200


async def revoke(client: httpx.AsyncClient, made: dict[str, Any], **body: object) -> httpx.Response:
    return await client.post(REVOKE, json={"keyId": made["id"], **body})


async def test_another_key_never_replays_an_answer(
    app: FastAPI, client: httpx.AsyncClient, admin: MemberClient
) -> None:
    """Neither another member's nor a weaker one of the same member, by a guessed header."""
    headers = {"Idempotency-Key": "deploy-2026-11-29"}
    body = {"name": "deploy", "scopes": ["api-keys:write"]}
    first = (await client.post(GENERATE, json=body, headers=headers)).json()["data"]
    weak = await make(client, scopes=["api-keys:write"])
    async with using(app, weak) as weaker:
        for other in (admin.client, weaker):
            answer = await other.post(GENERATE, json=body, headers=headers)
            assert answer.status_code == 201, "a request of its own"
            assert "Idempotent-Replayed" not in answer.headers
            assert answer.json()["data"]["id"] != first["id"]
            assert first["key"] not in answer.text
        persona = {"name": "Reviewer", "type": "reviewer"}
        ours = await client.post("/personas/create", json=persona, headers=headers)
        theirs = await admin.client.post("/personas/create", json=persona, headers=headers)
        assert (status_and_code(ours), status_and_code(theirs)) == ((409, "IDEMPOTENCY_MISMATCH"),) * 2


async def test_a_child_key_does_not_outlive_its_parent(app: FastAPI, client: httpx.AsyncClient) -> None:
    """A key that ends soon makes none that ends later, or never; told no end, a child has its parent's."""
    end = datetime.now(UTC) + timedelta(seconds=2.5)
    parent = await make(client, expiresAt=end.isoformat())
    async with using(app, parent) as short:
        later = {"name": "n", "scopes": SCOPES, "expiresAt": (end + timedelta(days=1)).isoformat()}
        refused = await short.post(GENERATE, json=later)
        assert status_and_code(refused) == (403, "FORBIDDEN")
        assert refused.json()["error"]["field"] == "expiresAt"
        child = await make(short)
        assert (child["expiresAt"], child["createdByKeyId"]) == (parent["expiresAt"], parent["id"])
        sooner = await make(short, expiresAt=(end - timedelta(seconds=1)).isoformat())
        assert sooner["expiresAt"] < child["expiresAt"]
    async with using(app, child) as grown:
        assert (await make(grown))["expiresAt"] == parent["expiresAt"]
    await asyncio.sleep(2.6)
    assert not await lives(app, parent)
    assert not await lives(app, child)


async def test_a_child_key_may_do_no_more_than_its_parent(app: FastAPI, client: httpx.AsyncClient) -> None:
    parent = await make(client, scopes=["api-keys:write", "runs:read"])
    async with using(app, parent) as narrow:
        answer = await narrow.post(GENERATE, json={"name": "n", "scopes": ["runs:read", "runs:write"]})
        assert status_and_code(answer) == (403, "FORBIDDEN")
        assert (await make(narrow, scopes=["runs:read"]))["createdByKeyId"] == parent["id"]


async def test_revoking_a_key_revokes_its_tree(app: FastAPI, client: httpx.AsyncClient) -> None:
    """Also through keys that were revoked before, and nothing beside it."""
    parent, beside = await make(client), await make(client)
    async with using(app, parent) as one:
        child = await make(one)
    async with using(app, child) as two:
        grandchild = await make(two)
    assert (await revoke(client, child, keepMade=True)).status_code == 200
    assert [await lives(app, each) for each in (parent, child, grandchild)] == [True, False, True]
    assert (await revoke(client, parent)).json()["data"]["revokedAt"] is not None
    assert [await lives(app, each) for each in (parent, grandchild, beside)] == [False, False, True]
    listed = {each["id"]: each for each in (await client.get("/project/api-keys")).json()["data"]}
    assert listed[grandchild["id"]]["revokedAt"] is not None
    assert listed[grandchild["id"]]["createdByKeyId"] == child["id"]


async def test_a_key_is_replaced_by_one_that_it_made(app: FastAPI, client: httpx.AsyncClient) -> None:
    old = await make(client)
    async with using(app, old) as one:
        new = await make(one)
    async with using(app, new) as two:
        assert (await revoke(two, old, keepMade=True)).status_code == 200
        assert await lives(app, new)
        assert not await lives(app, old)
        assert (await revoke(two, old)).status_code == 200, "and then what it made, this very key"
    assert not await lives(app, new)


async def test_no_key_is_made_while_its_tree_is_revoked(
    app: FastAPI, client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    """Whichever comes first: what was made before is revoked, and afterwards none is made."""
    parent = await make(client)
    async with using(app, parent) as one:
        child = await make(one)
    async with using(app, child) as two:
        assert (await two.get("/whoami")).status_code == 200
        async with database.transaction() as session:
            await ProjectMembers.lock(session, project.id)
            revoking = asyncio.create_task(revoke(client, parent))
            await waiting(database, 1)
            making = asyncio.create_task(two.post(GENERATE, json={"name": "n", "scopes": SCOPES}))
            await waiting(database, 2)
        assert (await revoking).status_code == 200
        late = await making
        if late.status_code == 201:
            assert not await lives(app, late.json()["data"])
        else:
            assert status_and_code(late) == (401, "AUTH_INVALID")


async def test_a_member_cannot_revoke_others_keys(
    app: FastAPI, client: httpx.AsyncClient, project: ProjectKey, admin: MemberClient, member: MemberClient
) -> None:
    """With whatever scopes: neither an admin's nor an owner's, nor another member's; an admin may."""
    made = await make(client)
    for key_id in (made["id"], project.key_id, admin.key_id):
        answer = await member.client.post(REVOKE, json={"keyId": key_id})
        assert status_and_code(answer) == (403, "FORBIDDEN")
    assert await lives(app, made)
    provider = {"provider": "github", "key": "ghp_example_of_a_token"}
    assert status_and_code(await member.client.post("/project/provider-keys/set", json=provider)) == (
        403,
        "FORBIDDEN",
    )
    of_member = await admin.client.post(REVOKE, json={"keyId": member.key_id})
    assert of_member.status_code == 200


async def remove(client: httpx.AsyncClient, id: str, **body: object) -> dict[str, Any]:
    data: dict[str, Any] = await ContractClient(client)("removeMember", {"memberId": id, **body})
    return data


def shown(made: dict[str, Any]) -> dict[str, Any]:
    return {"id": made["id"], "_id": made["id"], "name": made["name"], "memberId": made["memberId"]}


async def test_what_a_removed_members_keys_made_for_others_is_revoked_and_listed(
    app: FastAPI, client: httpx.AsyncClient, database: Database, project: ProjectKey, member: MemberClient
) -> None:
    """Also what those made, and through keys that were revoked before; not what was revoked before."""
    async with open_member_client(app, database, project, Role.admin) as leaving:
        own, beside = await make(leaving.client), await make(client, memberId=member.id)
        async with using(app, own) as one:
            given = await make(one, memberId=member.id, name="given")
            gone = await make(one, memberId=member.id)
        async with using(app, given) as two:
            grown = await make(two, name="grown")
        for each in (own, gone):
            assert (await revoke(client, each, keepMade=True)).status_code == 200
        assert [await lives(app, each) for each in (own, gone, given, grown)] == [False, False, True, True]
        removed = await remove(client, leaving.id)
        assert (removed["revokedKeys"], removed["livingKeys"]) == ([shown(given), shown(grown)], [])
        assert status_and_code(await leaving.client.get("/whoami")) == (401, "AUTH_INVALID")
        assert [await lives(app, each) for each in (given, grown, beside)] == [False, False, True]


async def test_what_a_removed_members_keys_made_for_others_can_be_kept(
    app: FastAPI, client: httpx.AsyncClient, database: Database, project: ProjectKey, member: MemberClient
) -> None:
    """Listed, until the dead key that made them is revoked once more."""
    async with open_member_client(app, database, project, Role.admin) as leaving:
        own = await make(leaving.client)
        given = await make(leaving.client, memberId=member.id)
        ended = await make(leaving.client, memberId=member.id)
        async with database.transaction() as session:
            (await session.get_one(ApiKey, ended["id"])).expires_at = datetime.now(UTC)
        removed = await remove(client, leaving.id, revokeMade=False)
        assert (removed["revokedKeys"], removed["livingKeys"]) == ([], [shown(given)])
        assert status_and_code(await leaving.client.get("/whoami")) == (401, "AUTH_INVALID")
        assert [await lives(app, each) for each in (own, given)] == [False, True]
        assert given["createdByKeyId"] == leaving.key_id
        of_who_left = {"keyId": leaving.key_id}
        assert status_and_code(await member.client.post(REVOKE, json=of_who_left)) == (403, "FORBIDDEN")
        assert (await client.post(REVOKE, json=of_who_left)).status_code == 200
        assert not await lives(app, given)


async def test_whoever_removes_a_member_may_lose_the_key_that_it_made(
    app: FastAPI, client: httpx.AsyncClient, database: Database, project: ProjectKey, member: MemberClient
) -> None:
    """Its secret is as well known to who left; the request itself is answered."""
    async with open_member_client(app, database, project, Role.owner) as inviting:
        given = await make(inviting.client, memberId=project.member_id, scopes=["projects:write"])
        async with using(app, given) as invited:
            removed = await remove(invited, inviting.id)
        assert removed["revokedKeys"] == [shown(given)]
        assert not await lives(app, given)
        assert (await client.get("/whoami")).status_code == 200


@pytest.mark.parametrize("form", ["cc_test_", "cc_", ""])
async def test_there_is_one_kind_of_key(client: httpx.AsyncClient, form: str) -> None:
    headers = {"Authorization": f"Bearer {form}{new_id('x')}"}
    assert status_and_code(await client.get("/whoami", headers=headers)) == (401, "AUTH_INVALID")
