"""Notifications of the member whose key asks, in both spellings."""

from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from api.after_commit import Session
from api.auth import needs
from api.http.pagination import Window
from api.http.responses import Many
from api.http.router import Router
from api.http.rows import Rows, rows
from api.state import unit_of
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
READ, WRITE = needs("notifications:read"), needs("notifications:write")
Notifications = Annotated[Rows[Notification, NotificationRead], rows(NOTIFICATIONS)]


class NotificationList(Window):
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    """How many notifications a page has at most."""
    filter: Filter = "all"
    """`unread`: only those that are not marked as read."""


@router.get("", READ, name="list_notifications_rest")
@router.get("/list", READ)
async def list_notifications(
    notifications: Notifications, window: Annotated[NotificationList, Query()]
) -> Many[NotificationRead]:
    """List the notifications of the key's member, newest first, without those that were dismissed."""
    key = notifications.unit.key
    where: dict[str, object] = {"project_id": key.project_id, "seen_by": key.member_id}
    return Many(NOTIFICATIONS, where | ({"unread": True} if window.filter == "unread" else {}), window)


@router.get("/unread-count", READ)
async def count_unread_notifications(session: Session, request: Request) -> UnreadCount:
    """Count the unread notifications of the key's member."""
    return UnreadCount(count=await count_unread(session, unit_of(request).key.member_id))


@router.post("/mark-read", WRITE)
async def mark_notification_read(body: NotificationRef, notifications: Notifications) -> NotificationRead:
    """Mark a notification as read; marked twice, it stays as it is."""
    return await read_notification(body.notification_id, notifications)


@router.put("/{id}/read", WRITE)
async def read_notification(id: str, notifications: Notifications) -> NotificationRead:
    """Mark a notification as read; marked twice, it stays as it is."""
    notification = await _own(id, notifications)
    notification.mark_read()
    return NotificationRead.model_validate(notification)


@router.put("/read-all", WRITE, name="read_all_notifications")
@router.post("/mark-all-read", WRITE)
async def mark_all_notifications_read(session: Session, request: Request) -> MarkedCount:
    """Mark every notification of the key's member as read."""
    return MarkedCount(count=await mark_all_read(session, unit_of(request).key.member_id))


@router.post("/dismiss", WRITE)
async def dismiss_notification(body: NotificationRef, notifications: Notifications) -> NotificationRead:
    """Dismiss a notification: it is hidden from its member's lists for good."""
    return await delete_notification(body.notification_id, notifications)


@router.delete("/{id}", WRITE)
async def delete_notification(id: str, notifications: Notifications) -> NotificationRead:
    """Dismiss a notification: it is hidden from its member's lists for good."""
    notification = await _own(id, notifications)
    notification.dismiss()
    return NotificationRead.model_validate(notification)


async def _own(id: str, notifications: Notifications) -> Notification:
    """The member's own, which was not dismissed; anybody else's is unknown."""
    notification = await notifications.get(id, lock=True)
    if notification.member_id != notifications.unit.key.member_id or notification.dismissed_at:
        raise NotFound("Notification not found.")
    return notification
