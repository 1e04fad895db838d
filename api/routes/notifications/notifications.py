"""Notifications of the member whose key asks, in both spellings."""

from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.state import unit_of_work_of
from kit.errors import NotFound
from models.notifications.notification import Notification, count_unread, mark_all_read
from models.notifications.notification_schemas import (
    NOTIFICATIONS,
    Filter,
    MarkedCount,
    NotificationRead,
    NotificationRef,
    UnreadCount,
)

router = Router("/notifications", "Notifications")
READ, WRITE = requires("notifications:read"), requires("notifications:write")
Notifications = Annotated[ProjectRows[Notification, NotificationRead], project_rows(NOTIFICATIONS)]


class NotificationList(PageQuery):
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    """How many notifications a page has at most."""
    filter: Filter = "all"
    """`unread`: only those that are not marked as read."""


@router.get("", READ, name="list_notifications_rest")
@router.get("/list", READ)
async def list_notifications(
    notifications: Notifications, window: Annotated[NotificationList, Query()]
) -> ItemPage[NotificationRead]:
    """List the notifications of the key's member, newest first, without those that were dismissed."""
    key = notifications.unit.key
    where: dict[str, object] = {"project_id": key.project_id, "seen_by": key.member_id}
    return ItemPage(NOTIFICATIONS, where | ({"unread": True} if window.filter == "unread" else {}), window)


@router.get("/unread-count", READ)
async def count_unread_notifications(session: DbSession, request: Request) -> UnreadCount:
    """Count the unread notifications of the key's member."""
    return UnreadCount(count=await count_unread(session, unit_of_work_of(request).key.member_id))


@router.post("/mark-read", WRITE)
async def mark_notification_read(body: NotificationRef, notifications: Notifications) -> NotificationRead:
    """Mark a notification as read; marked twice, it stays as it is."""
    return await read_notification(body.notification_id, notifications)


@router.put("/{id}/read", WRITE)
async def read_notification(id: str, notifications: Notifications) -> NotificationRead:
    """Mark a notification as read; marked twice, it stays as it is."""
    notification = await _get_own(id, notifications)
    notification.mark_read()
    return NotificationRead.model_validate(notification)


@router.put("/read-all", WRITE, name="read_all_notifications")
@router.post("/mark-all-read", WRITE)
async def mark_all_notifications_read(session: DbSession, request: Request) -> MarkedCount:
    """Mark every notification of the key's member as read."""
    return MarkedCount(count=await mark_all_read(session, unit_of_work_of(request).key.member_id))


@router.post("/dismiss", WRITE)
async def dismiss_notification(body: NotificationRef, notifications: Notifications) -> NotificationRead:
    """Dismiss a notification: it is hidden from its member's lists for good."""
    return await delete_notification(body.notification_id, notifications)


@router.delete("/{id}", WRITE)
async def delete_notification(id: str, notifications: Notifications) -> NotificationRead:
    """Dismiss a notification: it is hidden from its member's lists for good."""
    notification = await _get_own(id, notifications)
    notification.dismiss()
    return NotificationRead.model_validate(notification)


async def _get_own(id: str, notifications: Notifications) -> Notification:
    """The member's own, which was not dismissed; anybody else's is unknown."""
    notification = await notifications.get(id, lock=True)
    if notification.member_id != notifications.unit.key.member_id or notification.dismissed_at:
        raise NotFound("Notification not found.")
    return notification
