"""Members: invited, joined, changed and removed, and what of it is always true."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlmodel import col, select

from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from models import Event, Member
from models.projects.members import ProjectMembers
from models.projects.project import Role
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.support.members import MemberClient, open_member_client, status_and_code
from tests.support.row_locks import wait_for_lock_waiters
from tests.unit.api.conftest import client_of, running

Act = Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]
KEYS = "/project/api-keys/generate"


async def invite(client: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await client.post("/project/members/invite", json={"email": "Sam@Example.com ", **body})


async def remove(client: httpx.AsyncClient, id: str) -> httpx.Response:
    return await client.post("/project/members/remove", json={"memberId": id})


async def give(client: httpx.AsyncClient, id: str, role: str) -> httpx.Response:
    return await client.post("/project/members/update-role", json={"memberId": id, "role": role})


async def demote(client: httpx.AsyncClient, id: str) -> httpx.Response:
    return await give(client, id, "member")


async def waiting(database: Database, many: int) -> None:
    """So many statements wait for members that somebody else has locked."""
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%member%'"
    )
    await wait_for_lock_waiters(database, statement, many)


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/project/members")
    return list(answer.json()["data"])


async def test_they_are_as_documented(client: httpx.AsyncClient, project: ProjectKey) -> None:
    call = ContractClient(client)
    invited = await call("inviteMember", {"email": "  Sam@Example.COM", "role": "admin"})
    assert invited["email"] == "sam@example.com"
    assert (invited["name"], invited["role"], invited["status"]) == ("sam", "admin", "pending")
    assert (invited["invitedBy"], invited["acceptedAt"]) == (project.member_id, None)
    assert invited["invitedAt"] is not None
    await call("generateApiKey", {"name": "Sam's", "scopes": ["runs:read"], "memberId": invited["id"]})
    changed = await call("updateMemberRole", {"memberId": invited["id"], "role": "member"})
    assert (changed["role"], changed["status"]) == ("member", "accepted")
    assert changed["acceptedAt"] is not None
    removed = await call("removeMember", {"id": invited["id"]})
    assert removed == {**changed, "revokedKeys": [], "livingKeys": []}
    assert [each["id"] for each in await call("listMembers")] == [project.member_id]


async def test_a_list_shows_owners_admins_members_and_the_invited(
    client: httpx.AsyncClient, project: ProjectKey, admin: MemberClient, member: MemberClient
) -> None:
    first = (await invite(client, email="a@example.com", role="admin")).json()["data"]["id"]
    second = (await invite(client, email="b@example.com")).json()["data"]["id"]
    expected = [project.member_id, admin.id, member.id, first, second]
    assert [each["id"] for each in await listed(client)] == expected
    pages, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = (await client.get("/project/members", params=query)).json()
        pages.append([each["id"] for each in answer["data"]])
        if (cursor := answer["nextCursor"]) is None:
            break
    assert pages == [expected[:2], expected[2:4], expected[4:]]


async def test_an_address_is_invited_once(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(invite(client, email=f"{name}@b.c") for name in ("X", "x", " x")))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    again = await invite(client, email="x@B.C")
    assert status_and_code(again) == (409, "CONFLICT")
    assert "invited already" in again.json()["error"]["message"]
    assert status_and_code(await invite(client, email="DEV@example.com")) == (409, "CONFLICT")
    assert (await invite(stranger, email="x@b.c")).status_code == 201
    [pending] = [each for each in await listed(client) if each["status"] == "pending"]
    assert (await remove(client, pending["id"])).status_code == 200
    renewed = await invite(client, email="x@b.c")
    assert renewed.status_code == 201, "who was removed can be invited again"
    assert renewed.json()["data"]["id"] != pending["id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "owner"),
        ("role", "boss"),
        ("role", None),
        ("email", "nobody"),
        ("email", ""),
        ("email", "a@b@c"),
        ("email", "a b@c.d"),
        ("email", "x" * 251 + "@b.c"),
        ("name", " "),
    ],
)
async def test_an_invitation_that_cannot_be(client: httpx.AsyncClient, field: str, value: object) -> None:
    answer = await invite(client, **{field: value})
    assert status_and_code(answer) == (400, "VALIDATION")
    assert answer.json()["error"]["field"] == field


async def test_an_invited_member_joins_with_its_first_key(
    client: httpx.AsyncClient, app: FastAPI, admin: MemberClient, member: MemberClient, database: Database
) -> None:
    """The others hear of it once; the member itself, and those who are only invited, hear nothing."""
    sam = (await invite(admin.client, name="Sam")).json()["data"]
    waiting = (await invite(client, email="w@example.com")).json()["data"]
    assert status_and_code(await give(client, sam["id"], "owner")) == (409, "CONFLICT")
    body = {"name": "Sam's", "scopes": ["notifications:read", "projects:read"], "memberId": sam["id"]}
    assert status_and_code(await member.client.post(KEYS, json=body)) == (403, "FORBIDDEN")
    key = (await admin.client.post(KEYS, json=body)).json()["data"]
    assert key["memberId"] == sam["id"]
    assert (await admin.client.post(KEYS, json=body)).status_code == 201
    for each in (client, admin.client, member.client):
        [heard] = (await each.get("/notifications")).json()["data"]
        assert (heard["type"], heard["title"]) == ("member_joined", "Sam joined the project")
        assert heard["data"] == {"memberId": sam["id"], "role": "member"}
    async with client_of(app) as sams:
        sams.headers["Authorization"] = f"Bearer {key['key']}"
        assert (await sams.get("/notifications")).json()["data"] == []
        assert {each["id"]: each["status"] for each in await listed(sams)}[sam["id"]] == "accepted"
    async with database.transaction() as session:
        of_sam = select(Event.type).where(col(Event.subject_id) == sam["id"]).order_by(col(Event.seq))
        assert list((await session.exec(of_sam)).all()) == ["member.invited", "member.joined"]
    first_key = {**body, "memberId": waiting["id"]}
    assert (await client.post(KEYS, json=first_key)).status_code == 201
    assert len((await client.get("/notifications")).json()["data"]) == 2


async def test_admins_do_not_reach_above_themselves(
    client: httpx.AsyncClient, project: ProjectKey, admin: MemberClient, member: MemberClient
) -> None:
    assert status_and_code(await remove(admin.client, project.member_id)) == (403, "FORBIDDEN")
    assert status_and_code(await give(admin.client, member.id, "admin")) == (403, "FORBIDDEN")
    for_owner = {"name": "n", "scopes": ["runs:read"], "memberId": project.member_id}
    assert status_and_code(await admin.client.post(KEYS, json=for_owner)) == (403, "FORBIDDEN")
    revoke = {"keyId": project.key_id}
    assert status_and_code(await admin.client.post("/project/api-keys/revoke", json=revoke)) == (
        403,
        "FORBIDDEN",
    )
    assert (await client.get("/whoami")).status_code == 200
    of_member = {"keyId": member.key_id}
    assert (await admin.client.post("/project/api-keys/revoke", json=of_member)).status_code == 200
    assert status_and_code(await member.client.get("/whoami")) == (401, "AUTH_INVALID")
    assert (await remove(admin.client, member.id)).status_code == 200
    assert status_and_code(await remove(admin.client, member.id)) == (404, "NOT_FOUND")


async def test_members_rule_over_themselves_only(
    client: httpx.AsyncClient, project: ProjectKey, admin: MemberClient, member: MemberClient
) -> None:
    for other in (project.member_id, admin.id):
        assert status_and_code(await remove(member.client, other)) == (403, "FORBIDDEN")
    for key_id in (project.key_id, admin.key_id):
        answer = await member.client.post("/project/api-keys/revoke", json={"keyId": key_id})
        assert status_and_code(answer) == (403, "FORBIDDEN")
    made = await member.client.post(KEYS, json={"name": "mine", "scopes": ["runs:read"]})
    own = {"keyId": made.json()["data"]["id"]}
    assert (await member.client.post("/project/api-keys/revoke", json=own)).status_code == 200
    assert (await remove(member.client, member.id)).status_code == 200
    assert status_and_code(await member.client.get("/whoami")) == (401, "AUTH_INVALID")
    assert [each["id"] for each in await listed(client)] == [project.member_id, admin.id]


@pytest.mark.parametrize("act", [remove, demote])
async def test_an_owner_is_always_left(
    client: httpx.AsyncClient, app: FastAPI, database: Database, project: ProjectKey, act: Act
) -> None:
    """Also when two owners end each other's ownership at the same time."""
    alone = await act(client, project.member_id)
    assert status_and_code(alone) == (403, "FORBIDDEN")
    assert "last owner" in alone.json()["error"]["message"]
    async with open_member_client(app, database, project, Role.owner) as other:
        async with database.transaction() as session:
            await ProjectMembers.lock(session, project.id)
            answers = asyncio.gather(act(client, other.id), act(other.client, project.member_id))
            await waiting(database, 2)
        assert sorted(answer.status_code for answer in await answers) == [200, 403]
        async with database.transaction() as session:
            team = await ProjectMembers.lock(session, project.id)
        assert [one.role for one in team.members].count(Role.owner) == 1


async def test_an_owner_whose_account_is_gone_is_none_that_is_left(
    client: httpx.AsyncClient, app: FastAPI, database: Database, project: ProjectKey
) -> None:
    async with open_member_client(app, database, project, Role.owner) as other:
        async with database.transaction() as session:
            (await session.get_one(Member, other.id)).anonymize()
        for answer in (await remove(client, project.member_id), await demote(client, project.member_id)):
            assert status_and_code(answer) == (403, "FORBIDDEN")
        assert (await remove(client, other.id)).status_code == 200, "nobody's seat"


async def test_a_lower_role_counts_at_once_in_every_process(
    client: httpx.AsyncClient, api_settings: Settings, project: ProjectKey, admin: MemberClient
) -> None:
    body = {"name": "Renamed"}
    async with running(api_settings) as other, client_of(other) as there:
        there.headers["Authorization"] = admin.client.headers["Authorization"]
        for each in (admin.client, there):
            assert (await each.post("/project/update", json=body)).status_code == 200
        assert (await give(client, admin.id, "member")).json()["data"]["role"] == "member"
        for each in (admin.client, there):
            assert status_and_code(await each.post("/project/update", json=body)) == (403, "FORBIDDEN")
        assert (await give(client, admin.id, "admin")).status_code == 200
        assert (await admin.client.post("/project/update", json=body)).status_code == 200
        assert (await remove(client, admin.id)).status_code == 200
        for each in (admin.client, there):
            assert status_and_code(await each.get("/whoami")) == (401, "AUTH_INVALID")


async def test_members_of_other_projects_are_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, member: MemberClient
) -> None:
    for unknown in (member.id, new_id("user"), "x", "r_" + "0" * 32):
        for answer in (
            await remove(stranger, unknown),
            await give(stranger, unknown, "admin"),
            await stranger.post(KEYS, json={"name": "n", "scopes": ["runs:read"], "memberId": unknown}),
        ):
            assert status_and_code(answer) == (404, "NOT_FOUND")
    assert (await client.get("/project/members")).json()["data"][-1]["id"] == member.id
