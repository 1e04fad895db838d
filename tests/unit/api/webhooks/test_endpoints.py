"""Webhook endpoints and their deliveries through the API."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import col, select

from kit.crypto import Vault
from kit.database import Database
from kit.ids import new_id
from kit.schemas import format_timestamp
from kit.settings import Settings
from models import Member, WebhookDelivery, WebhookEndpoint
from models.base import now
from models.projects.project import Role
from models.webhooks.delivery import DeliveryStatus
from tests.conftest import ProjectKey, make_project
from tests.support.contract_client import ContractClient
from tests.unit.api.conftest import client_of

URL = "https://example.com/hook"


@pytest.fixture
def call(client: httpx.AsyncClient) -> ContractClient:
    return ContractClient(client)


@pytest.fixture
async def endpoint(client: httpx.AsyncClient) -> dict[str, Any]:
    created: dict[str, Any] = (await client.post("/webhooks/endpoints", json={"url": URL})).json()["data"]
    return created


async def ended(
    database: Database, delivery_id: str, status: DeliveryStatus, age: timedelta = timedelta(0)
) -> None:
    async with database.transaction() as session:
        row = await session.get_one(WebhookDelivery, delivery_id)
        row.status, row.next_attempt_at, row.tries, row.reason = status, None, 10, "It was not received."
        row.created_at = now() - age


async def test_an_endpoint_from_its_making_to_its_end(
    call: ContractClient, database: Database, settings: Settings
) -> None:
    body = {"url": URL, "events": ["run.*", "pr.created"], "description": "For the bot"}
    created = await call("createWebhookEndpoint", body)
    assert created["secret"].startswith("whsec_")
    endpoint_id = created["id"]
    shown = await call("getWebhookEndpoint", path=endpoint_id)
    assert {**shown, "secret": created["secret"]} == created
    assert [each["id"] for each in await call("listWebhookEndpoints")] == [endpoint_id]
    async with database.transaction() as session:
        row = await session.get_one(WebhookEndpoint, endpoint_id)
    vault = Vault(settings.encryption_keys.get_secret_value())
    assert created["secret"] not in row.model_dump_json()
    assert vault.open(row.secret) == created["secret"]

    changed = await call("updateWebhookEndpoint", {"events": ["*"], "description": None}, path=endpoint_id)
    assert (changed["events"], changed["description"], changed["url"]) == (["*"], None, URL)
    rotated = await call("rotateWebhookSecret", path=endpoint_id)
    assert rotated["secret"] != created["secret"]
    async with database.transaction() as session:
        row = await session.get_one(WebhookEndpoint, endpoint_id)
    assert [vault.open(sealed) for sealed in row.valid_secrets] == [rotated["secret"], created["secret"]]
    shown = await call("getWebhookEndpoint", path=endpoint_id)
    assert shown["oldSecretsUntil"] == rotated["oldSecretsUntil"]
    assert (
        format_timestamp(now() + timedelta(hours=23))
        < shown["oldSecretsUntil"]
        < format_timestamp(now() + timedelta(hours=25))
    )

    ping = await call("testWebhookEndpoint", path=endpoint_id)
    assert (ping["eventType"], ping["payload"]["type"], ping["status"]) == ("ping", "ping", "pending")
    assert await call("getWebhookDelivery", path=ping["id"]) == ping
    assert await call("listWebhookDeliveries", path=endpoint_id, status="pending", eventType="ping") == [ping]
    assert await call("listWebhookDeliveries", path=endpoint_id, status="failed") == []
    await ended(database, ping["id"], DeliveryStatus.failed)
    again = await call("resendWebhookDelivery", path=ping["id"])
    assert (again["status"], again["reason"], again["id"]) == ("pending", None, ping["id"])

    await call("deleteWebhookEndpoint", path=endpoint_id)
    for path in (
        f"endpoints/{endpoint_id}",
        f"endpoints/{endpoint_id}/deliveries",
        f"deliveries/{ping['id']}",
    ):
        assert (await call.client.get(f"/webhooks/{path}")).status_code == 404


async def test_secrets_that_were_replaced_long_ago_sign_no_more(
    client: httpx.AsyncClient, endpoint: dict[str, Any], database: Database
) -> None:
    for _ in range(2):
        await client.post(f"/webhooks/endpoints/{endpoint['id']}/rotate-secret")
    async with database.transaction() as session:
        row = await session.get_one(WebhookEndpoint, endpoint["id"])
        assert len(row.valid_secrets) == 3
        past = (now() - timedelta(seconds=1)).isoformat()
        row.replaced_secrets = [row.replaced_secrets[0], {**row.replaced_secrets[1], "until": past}]
        assert len(row.valid_secrets) == 2
        row.replaced_secrets = [{**each, "until": past} for each in row.replaced_secrets]
        assert row.valid_secrets == [row.secret]
    shown = await client.get(f"/webhooks/endpoints/{endpoint['id']}")
    assert shown.json()["data"]["oldSecretsUntil"] is None


async def test_a_range_is_sent_again(
    call: ContractClient, endpoint: dict[str, Any], database: Database
) -> None:
    statuses = [
        DeliveryStatus.failed,
        DeliveryStatus.skipped,
        DeliveryStatus.delivered,
        DeliveryStatus.failed,
    ]
    ages = [timedelta(hours=1), timedelta(hours=2), timedelta(hours=3), timedelta(days=2)]
    ids = []
    for status, age in zip(statuses, ages, strict=True):
        ping = await call("testWebhookEndpoint", path=endpoint["id"])
        await ended(database, ping["id"], status, age)
        ids.append(ping["id"])
    body = {"after": format_timestamp(now() - timedelta(days=1)), "before": format_timestamp(now())}
    assert await call("resendWebhookDeliveries", body, path=endpoint["id"]) == {"count": 2}
    found = {each["id"]: each["status"] for each in await call("listWebhookDeliveries", path=endpoint["id"])}
    assert [found[each] for each in ids] == ["pending", "pending", "delivered", "failed"]
    one = {**body, "status": "delivered"}
    assert await call("resendWebhookDeliveries", one, path=endpoint["id"]) == {"count": 1}
    wrong = {"after": body["before"], "before": body["after"]}
    path = f"/webhooks/endpoints/{endpoint['id']}/resend"
    for bad in (
        wrong,
        {**body, "after": 1_768_000_000},
        {"after": body["after"]},
        {**body, "status": "lost"},
        {**body, "status": []},
    ):
        assert (await call.client.post(path, json=bad)).status_code == 400


async def test_a_disabled_endpoint_is_sent_nothing_and_asked_nothing(
    call: ContractClient, endpoint: dict[str, Any], database: Database
) -> None:
    ping = await call("testWebhookEndpoint", path=endpoint["id"])
    off = await call("updateWebhookEndpoint", {"isEnabled": False}, path=endpoint["id"])
    assert (off["isEnabled"], off["disabledReason"]) == (False, "It was disabled through the API.")
    skipped = await call("getWebhookDelivery", path=ping["id"])
    assert (skipped["status"], skipped["reason"]) == ("skipped", "It was disabled through the API.")
    for path in (f"endpoints/{endpoint['id']}/test", f"deliveries/{ping['id']}/resend"):
        refused = await call.client.post(f"/webhooks/{path}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    on = await call("updateWebhookEndpoint", {"isEnabled": True}, path=endpoint["id"])
    assert (on["isEnabled"], on["disabledReason"], on["disabledAt"]) == (True, None, None)
    assert (await call("resendWebhookDelivery", path=ping["id"]))["status"] == "pending"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "http://example.com"}, "url"),
        ({"url": 7}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://[::1]/"}, "url"),
        ({"url": "https://u:p@example.com/"}, "url"),
        ({"url": "https://example.com:22/"}, "url"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": ["run.*", "nothing"]}, "events.1"),
        ({"url": URL, "events": ["run*"]}, "events.0"),
        ({"url": URL, "isEnabled": 1}, "isEnabled"),
        ({"url": URL, "secret": "whsec_x"}, "secret"),
        ({"url": URL, "description": "x" * 2001}, "description"),
    ],
)
async def test_an_endpoint_that_cannot_be(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.post("/webhooks/endpoints", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_a_url_is_looked_at_when_it_is_changed_too(
    client: httpx.AsyncClient, endpoint: dict[str, Any]
) -> None:
    path = f"/webhooks/endpoints/{endpoint['id']}"
    for body in ({"url": "https://10.0.0.1/"}, {"url": None}, {"isEnabled": None}, {"events": None}):
        answer = await client.patch(path, json=body)
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, next(iter(body)))
    assert (await client.get(path)).json()["data"]["url"] == URL


async def test_other_projects_and_lower_roles(
    app: FastAPI,
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    endpoint: dict[str, Any],
    database: Database,
) -> None:
    ping = (await client.post(f"/webhooks/endpoints/{endpoint['id']}/test")).json()["data"]
    member = await make_project(database)
    async with database.transaction() as session:
        (await session.get_one(Member, member.member_id)).role = Role.member
    since = {"after": format_timestamp(now() - timedelta(days=1)), "before": format_timestamp(now())}
    writes: list[tuple[str, str, Any]] = [
        ("POST", "endpoints", {"url": URL}),
        ("PATCH", f"endpoints/{endpoint['id']}", {"isEnabled": False}),
        ("DELETE", f"endpoints/{endpoint['id']}", None),
        ("POST", f"endpoints/{endpoint['id']}/rotate-secret", None),
        ("POST", f"endpoints/{endpoint['id']}/test", None),
        ("POST", f"endpoints/{endpoint['id']}/resend", since),
        ("POST", f"deliveries/{ping['id']}/resend", None),
    ]
    reads = [
        f"endpoints/{endpoint['id']}",
        f"endpoints/{endpoint['id']}/deliveries",
        f"deliveries/{ping['id']}",
    ]
    async with client_of(app, member) as lower:
        for method, path, body in writes:
            refused = await lower.request(method, f"/webhooks/{path}", json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN"), path
        assert (await lower.get("/webhooks/endpoints")).json()["data"] == []
    for method, path, body in [*writes[1:], *(("GET", path, None) for path in reads)]:
        assert (await stranger.request(method, f"/webhooks/{path}", json=body)).status_code == 404, path
    assert (await client.get(f"/webhooks/endpoints/{endpoint['id']}")).json()["data"]["isEnabled"] is True


async def test_a_repeated_request_makes_one_endpoint_and_tells_no_secret_again(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": new_id("key")}
    answers = [await client.post("/webhooks/endpoints", json={"url": URL}, headers=headers) for _ in range(2)]
    [made] = (await client.get("/webhooks/endpoints")).json()["data"]
    assert (made["id"], answers[1].status_code) == (answers[0].json()["data"]["id"], 409)
    assert made["id"] in answers[1].json()["error"]["message"]
    path = f"/webhooks/endpoints/{made['id']}"
    patch = {"Idempotency-Key": new_id("key")}
    changes = [await client.patch(path, json={"description": "x"}, headers=patch) for _ in range(2)]
    assert changes[0].content == changes[1].content
    assert changes[1].headers["Idempotent-Replayed"] == "true"


async def test_a_change_of_what_has_changed_meanwhile_is_refused(
    client: httpx.AsyncClient, endpoint: dict[str, Any]
) -> None:
    path = f"/webhooks/endpoints/{endpoint['id']}"
    tag = (await client.get(path)).headers["ETag"]
    assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 304
    first = await client.patch(path, json={"description": "1"}, headers={"If-Match": tag})
    second = await client.patch(path, json={"description": "2"}, headers={"If-Match": tag})
    assert (first.status_code, second.status_code) == (200, 412)


async def test_a_project_has_a_limited_number_of_endpoints(
    client: httpx.AsyncClient, endpoint: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.webhooks.endpoints.MAX_ENDPOINTS", 1)
    refused = await client.post("/webhooks/endpoints", json={"url": URL})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")


async def test_an_endpoint_is_kept_while_the_engine_is_away(
    unplugged: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    """Its workflow is started by the sweep, once there is something to send."""
    created = await unplugged.post("/webhooks/endpoints", json={"url": URL})
    assert created.status_code == 201
    ping = await unplugged.post(f"/webhooks/endpoints/{created.json()['data']['id']}/test")
    assert ping.status_code == 201
    async with database.transaction() as session:
        of_project = col(WebhookDelivery.project_id) == project.id
        rows = (await session.exec(select(WebhookDelivery).where(of_project))).all()
    assert [row.status for row in rows] == [DeliveryStatus.pending]


async def test_another_description_hides_no_failures(
    call: ContractClient, endpoint: dict[str, Any], database: Database
) -> None:
    async with database.transaction() as session:
        (await session.get_one(WebhookEndpoint, endpoint["id"])).mark_failed(now())
    changed = await call("updateWebhookEndpoint", {"description": "Other words"}, path=endpoint["id"])
    assert changed["failingSince"] is not None
    moved = await call("updateWebhookEndpoint", {"url": f"{URL}/new"}, path=endpoint["id"])
    assert moved["failingSince"] is None
