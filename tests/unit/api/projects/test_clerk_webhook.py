"""Clerk's webhook: who may speak, who is forgotten, and that saying it twice changes nothing."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr, ValidationError
from sqlmodel import col, select
from standardwebhooks import Webhook

from kit.database import Database
from kit.settings import Settings
from models import Member
from models.projects.project import Role
from tests.conftest import ProjectKey, make_project
from tests.support.members import MemberClient, open_member_client, status_and_code
from tests.unit.api.conftest import client_of, running

SECRET = "whsec_" + b64encode(b"signing-secret-of-the-tests").decode()
URL = "http://test/clerk/webhook"


@dataclass
class Clerk:
    """Speaks as Clerk does, by way of Svix."""

    http: httpx.AsyncClient

    async def __call__(
        self,
        body: bytes,
        *,
        secret: str = SECRET,
        delivery: str = "",
        at: datetime | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        delivery, at = delivery or f"msg_{uuid4().hex}", at or datetime.now(UTC)
        signed = {
            "svix-id": delivery,
            "svix-timestamp": str(int(at.timestamp())),
            "svix-signature": "v1,c2Vjb25k " + Webhook(secret).sign(delivery, at, body.decode()),
        }
        given = {name.encode(): value.encode() for name, value in {**signed, **(headers or {})}.items()}
        return await self.http.post(URL, content=body, headers=given)


@pytest.fixture
async def clerk(api_settings: Settings) -> AsyncIterator[Clerk]:
    settings = api_settings.model_copy(update={"clerk_webhook_secret": SecretStr(SECRET)})
    async with running(settings) as app, client_of(app) as http:
        yield Clerk(http)


def deleted(user: str, email: str | None = None, verification: str = "verified") -> bytes:
    data: dict[str, object] = {"id": user, "deleted": True, "object": "user"}
    if email is not None:
        others = [{"id": "idn_2", "email_address": "other@example.com"}]
        address = {"id": "idn_1", "email_address": email, "verification": {"status": verification}}
        data["email_addresses"] = [*others, address]
        data["primary_email_address_id"] = "idn_1"
    return json.dumps({"type": "user.deleted", "data": data, "object": "event"}).encode()


async def link(database: Database, member: MemberClient, user: str) -> None:
    async with database.transaction() as session:
        (await session.get_one(Member, member.id)).external_id = user


async def rows(database: Database, *ids: str) -> list[Member]:
    async with database.transaction() as session:
        found = await session.exec(select(Member).where(col(Member.id).in_(ids)).order_by(col(Member.id)))
        return list(found.all())


async def test_a_deleted_account_is_forgotten_everywhere(
    clerk: Clerk,
    app: FastAPI,
    client: httpx.AsyncClient,
    database: Database,
    admin: MemberClient,
    member: MemberClient,
) -> None:
    user, elsewhere = f"user_{uuid4().hex}", await make_project(database)
    async with open_member_client(app, database, elsewhere, Role.member) as other:
        for each in (member, other):
            await link(database, each, user)
        body = deleted(user, admin.email)  # an address alone counts where no account is known
        await link(database, admin, "user_another")
        assert (await clerk(body, delivery=f"msg_{user}")).json() == {"data": {"status": "accepted"}}
        for each in (member, other):
            assert status_and_code(await each.client.get("/whoami")) == (401, "AUTH_INVALID")
        for row in await rows(database, member.id, other.id):
            assert (row.email, row.name) == (f"{row.id}@deleted.invalid", "Deleted user")
            assert (row.external_id, row.removed_at is None) == (None, False)
        assert (await admin.client.get("/whoami")).status_code == 200
        assert member.id not in (await client.get("/project/members")).text
        assert (await clerk(body, delivery=f"msg_{user}")).json() == {"data": {"status": "repeated"}}
        assert (await clerk(body)).json() == {"data": {"status": "accepted"}}
    assert (await admin.client.get("/whoami")).status_code == 200


async def test_a_delivery_that_comes_late_forgets_nobody_who_came_back(
    clerk: Clerk, client: httpx.AsyncClient, member: MemberClient
) -> None:
    body, delivery = deleted("user_gone", member.email.upper()), f"msg_{uuid4().hex}"
    assert (await clerk(body, delivery=delivery)).json()["data"] == {"status": "accepted"}
    assert status_and_code(await member.client.get("/whoami")) == (401, "AUTH_INVALID")
    again = await client.post("/project/members/invite", json={"email": member.email})
    assert again.status_code == 201
    assert (await clerk(body, delivery=delivery)).json()["data"] == {"status": "repeated"}
    listed = (await client.get("/project/members")).json()["data"]
    assert member.email in [each["email"] for each in listed]


async def test_an_address_that_nobody_verified_forgets_nobody(clerk: Clerk, member: MemberClient) -> None:
    assert (await clerk(deleted("user_x", member.email, "unverified"))).status_code == 200
    assert (await member.client.get("/whoami")).status_code == 200


async def test_the_last_owner_is_forgotten_and_keeps_the_seat(
    clerk: Clerk, client: httpx.AsyncClient, database: Database, project: ProjectKey, admin: MemberClient
) -> None:
    user = f"user_{uuid4().hex}"
    async with database.transaction() as session:
        (await session.get_one(Member, project.member_id)).external_id = user
    assert (await clerk(deleted(user))).status_code == 200
    assert status_and_code(await client.get("/whoami")) == (401, "AUTH_INVALID")
    [seat, _] = (await admin.client.get("/project/members")).json()["data"]
    assert (seat["id"], seat["role"], seat["name"]) == (project.member_id, "owner", "Deleted user")


async def test_a_joining_that_was_announced_names_nobody_any_more(
    clerk: Clerk, client: httpx.AsyncClient
) -> None:
    email = f"{uuid4().hex}@example.com"
    invited = await client.post("/project/members/invite", json={"email": email, "name": "Sam Smith"})
    body = {"name": "n", "scopes": ["runs:read"], "memberId": invited.json()["data"]["id"]}
    assert (await client.post("/project/api-keys/generate", json=body)).status_code == 201
    assert "Sam Smith" in (await client.get("/notifications")).text
    assert (await clerk(deleted("user_x", email))).status_code == 200
    assert "Sam Smith" not in (await client.get("/notifications")).text


async def test_a_wrong_signature_learns_nothing(clerk: Clerk, member: MemberClient) -> None:
    body = deleted("user_x", member.email)
    other = "whsec_" + b64encode(b"another").decode()
    late, early = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (-6, 6))
    answers = [await clerk(body, secret=other), await clerk(body, at=late), await clerk(body, at=early)]
    answers += [
        await clerk(body, headers={"svix-signature": signature})
        for signature in ("v1", "v1,é", "v1,====", "v2,YQ==", "no")
    ]
    answers.append(await clerk(body, headers={"svix-timestamp": "nan"}))
    assert {status_and_code(answer) for answer in answers} == {(401, "AUTH_INVALID")}
    assert status_and_code(await clerk.http.post(URL, content=body)) == (401, "AUTH_MISSING")
    assert (await member.client.get("/whoami")).status_code == 200


async def test_what_is_not_heeded(clerk: Clerk) -> None:
    for kind in ("user.created", "user.updated", "session.ended", "anything"):
        body = json.dumps({"type": kind, "data": {"id": "user_x"}, "object": "event"}).encode()
        answer = await clerk(body)
        assert (answer.status_code, answer.json()) == (200, {"data": {"status": "ignored"}})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", None),
        (b"[]", None),
        (b"{}", "type"),
        (b'{"type": "user.deleted"}', "data"),
        (b'{"type": "user.deleted", "data": {"id": "a\\u0000b"}}', "data.id"),
        (b'{"type": "user.deleted", "data": {"id": 7}}', "data.id"),
    ],
)
async def test_a_payload_that_is_none(clerk: Clerk, body: bytes, field: str | None) -> None:
    error = (await clerk(body)).json()["error"]
    assert (error["code"], error.get("field")) == ("VALIDATION", field)


async def test_without_a_secret_there_is_no_webhook(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, content=b"{}")
    assert status_and_code(answer) == (404, "NOT_FOUND")
    assert "CLERK_WEBHOOK_SECRET" in answer.json()["error"]["message"]


def test_a_secret_that_cannot_sign_is_refused_at_the_start(settings: Settings) -> None:
    given = {name: value for name, value in settings.model_dump().items() if value is not None}
    for secret in ("whsec_", "whsec_***", "plain words"):
        with pytest.raises(ValidationError, match="signing secret"):
            Settings(**{**given, "clerk_webhook_secret": secret})
