"""Notifications: a member's own, in both spellings."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kit.database import Database
from kit.ids import new_id
from models import ApiKey, Member, Notification
from models.notifications.notification import NotificationType
from models.projects.api_key import SCOPES
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.unit.api.conftest import client_of


async def told(database: Database, project: ProjectKey, member: str, many: int = 1) -> list[str]:
    """Ids of new notifications of a member, the oldest first."""
    rows = [
        Notification(
            project_id=project.id,
            member_id=member,
            event_id=new_id("evt"),
            title=f"Run {number}",
            type=NotificationType.run_completed,
            body="Done.",
            data={"runId": new_id("r")},
        )
        for number in range(many)
    ]
    ids = [row.id for row in rows]
    async with database.transaction() as session:
        session.add_all(rows)
    return ids


async def listed(client: httpx.AsyncClient, path: str = "/notifications", **query: Any) -> list[str]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


async def unread(client: httpx.AsyncClient) -> int:
    return int((await client.get("/notifications/unread-count")).json()["data"]["count"])


async def test_they_are_as_documented(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    member = project.member_id
    first, second, third = await told(database, project, member, 3)
    ask = ContractClient(client)
    assert [each["id"] for each in await ask("listNotifications")] == [third, second, first]
    await ask("listNotificationsRest", limit=2)
    assert (await ask("countUnreadNotifications"))["count"] == 3
    assert (await ask("markNotificationRead", {"notificationId": first}))["read"] is True
    assert (await ask("readNotification", path=second))["read"] is True
    assert (await ask("dismissNotification", {"notificationId": first}))["id"] == first
    assert (await ask("deleteNotification", path=second))["id"] == second
    assert (await ask("markAllNotificationsRead"))["count"] == 1
    assert (await ask("readAllNotifications"))["count"] == 0


@pytest.mark.parametrize("path", ["/notifications", "/notifications/list"])
async def test_lists_show_what_was_not_dismissed(
    client: httpx.AsyncClient, database: Database, project: ProjectKey, path: str
) -> None:
    member = project.member_id
    ids = await told(database, project, member, 5)
    await client.put(f"/notifications/{ids[0]}/read")
    await client.delete(f"/notifications/{ids[4]}")
    assert await listed(client, path) == [ids[3], ids[2], ids[1], ids[0]]
    assert await listed(client, path, filter="unread") == [ids[3], ids[2], ids[1]]
    assert await listed(client, path, filter="unread", limit=2) == [ids[3], ids[2]]
    assert await unread(client) == 3
    refused = await client.get(path, params={"filter": "some"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "filter")


async def test_what_was_dismissed_is_unknown(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    [one] = await told(database, project, project.member_id)
    assert (await client.delete(f"/notifications/{one}")).status_code == 200
    assert (await client.delete(f"/notifications/{one}")).status_code == 404
    assert (await client.put(f"/notifications/{one}/read")).status_code == 404
    assert await unread(client) == 0


async def test_a_member_sees_and_touches_only_its_own(
    client: httpx.AsyncClient, app: FastAPI, database: Database, project: ProjectKey
) -> None:
    other = Member(project_id=project.id, email="other@example.com", name="Other")
    async with database.transaction() as session:
        session.add(other)
        await session.flush()
        key, secret = ApiKey.generate(
            project_id=project.id, member_id=other.id, name="other", scopes=[*SCOPES]
        )
        session.add(key)
    [mine] = await told(database, project, project.member_id)
    [theirs] = await told(database, project, other.id)
    async with client_of(app) as others:
        others.headers["Authorization"] = f"Bearer {secret}"
        assert await listed(others) == [theirs]
        for refused in (
            await others.put(f"/notifications/{mine}/read"),
            await others.post("/notifications/mark-read", json={"notificationId": mine}),
            await others.post("/notifications/dismiss", json={"notificationId": mine}),
            await others.delete(f"/notifications/{mine}"),
        ):
            assert refused.status_code == 404
        assert (await others.put("/notifications/read-all")).json()["data"] == {"count": 1}
    assert await listed(client, filter="unread") == [mine]


async def test_marked_by_many_at_once_each_is_counted_once(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    await told(database, project, project.member_id, 40)
    answers = await asyncio.gather(*(client.post("/notifications/mark-all-read") for _ in range(5)))
    assert sum(answer.json()["data"]["count"] for answer in answers) == 40
    assert await unread(client) == 0
