"""Notifications on the wire: each belongs to one member, who is the one whose key asks."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from kit.schemas import Body, Read, UtcTimestamp, Wire
from models.base import JsonObject
from models.json_view import JsonView, example
from models.notifications.notification import Notification, NotificationType

NOTIFICATION = "notif_0198f2c7b1c27d3e8f4a5b6c7d8e9f0a"
Filter = Literal["all", "unread"]


class NotificationRead(Read):
    """What a member should know; `data` holds the ids of what it is about."""

    model_config = example(
        id=NOTIFICATION,
        _id=NOTIFICATION,
        type="pr_created",
        title="Run 7 opened a pull request",
        body="https://github.com/org/repo/pull/42",
        read=False,
        data={"runId": "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d", "number": 42},
        createdAt="2026-01-15T10:09:00.000Z",
    )
    type: NotificationType
    """What it tells of."""
    title: str
    """A sentence that says what happened."""
    body: str
    """More about it: an address, a message or a reason; may be empty."""
    read: bool
    """Whether the member has marked it as read."""
    data: JsonObject
    """The ids and facts that it is about; which ones depends on its type."""
    created_at: UtcTimestamp
    """When it was written."""


class NotificationRef(Body):
    """Names a notification."""

    model_config = example(notificationId=NOTIFICATION)
    notification_id: Annotated[str, Field(validation_alias=AliasChoices("notificationId", "id"))]
    """The notification's id; `id` is understood, too."""


class UnreadCount(Wire):
    """How many notifications are unread."""

    model_config = example(count=5)
    count: int
    """The number of unread notifications that were not dismissed."""


class MarkedCount(Wire):
    """How many notifications were unread until now."""

    model_config = example(count=5)
    count: int
    """The number of notifications that are marked as read now."""


VISIBLE_TO_MEMBER = "notification.dismissed_at IS NULL AND notification.member_id = %(seen_by)s"
"""SQL of what a member sees in lists; `unread` narrows it."""
NOTIFICATIONS = JsonView(
    NotificationRead,
    Notification,
    "Notification",
    shown={"read": "(notification.read_at IS NOT NULL)"},
    where={"seen_by": VISIBLE_TO_MEMBER, "unread": "notification.read_at IS NULL"},
)
