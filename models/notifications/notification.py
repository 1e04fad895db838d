"""Notifications: what a member should know, written from the event log."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Index, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import new_id, prefixed
from models.base import Json, JsonObject, Table, Timestamp, enum_column, now
from models.event import Event
from models.projects.project import Member


class NotificationType(StrEnum):
    """What the notification tells of."""

    run_completed = "run_completed"
    run_failed = "run_failed"
    pr_created = "pr_created"
    pr_merged = "pr_merged"
    pr_failed = "pr_failed"
    member_joined = "member_joined"
    workflow_completed = "workflow_completed"
    sprint_completed = "sprint_completed"
    sprint_failed = "sprint_failed"
    budget_exceeded = "budget_exceeded"
    question_pending = "question_pending"
    webhook_disabled = "webhook_disabled"


class Notification(Table, table=True):
    __table_args__ = (
        Index("notification_once", "event_id", "member_id", "type", unique=True),
        Index("notification_newest_first", "project_id", "member_id", "id"),
        Index(
            "notification_unread",
            "member_id",
            "id",
            postgresql_where="read_at IS NULL AND dismissed_at IS NULL",
        ),
    )
    id: str = Field(default_factory=prefixed("notif"), primary_key=True)
    project_id: str
    member_id: str
    event_id: str
    type: NotificationType = Field(sa_type=enum_column(NotificationType))
    title: str
    body: str
    data: JsonObject = Field(default_factory=dict, sa_type=Json)
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    read_at: datetime | None = Field(default=None, sa_type=Timestamp)
    dismissed_at: datetime | None = Field(default=None, sa_type=Timestamp)

    @property
    def read(self) -> bool:
        return self.read_at is not None

    def mark_read(self) -> None:
        self.read_at = self.read_at or now()

    def dismiss(self) -> None:
        """Hide it from its member for good."""
        self.dismissed_at = self.dismissed_at or now()


async def count_unread(session: AsyncSession, member_id: str) -> int:
    """How many notifications a member has not read."""
    statement = select(func.count()).select_from(Notification).where(*_unread(member_id))
    return int((await session.execute(statement)).scalar_one())


async def mark_all_read(session: AsyncSession, member_id: str) -> int:
    """Mark every notification of a member as read; how many were not."""
    statement = update(Notification).where(*_unread(member_id)).values(read_at=now())
    return len((await session.execute(statement.returning(col(Notification.id)))).all())


def _unread(member_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Notification.member_id) == member_id,
        col(Notification.read_at).is_(None),
        col(Notification.dismissed_at).is_(None),
    )


async def notify_members(
    session: AsyncSession, event: Event, type: NotificationType, title: str, body: str, data: JsonObject
) -> None:
    """Tell every member of the event's project; telling again for the same event changes nothing.

    Who is only invited, or is whom the event is about, is not told.
    """
    statement = select(col(Member.id)).where(
        col(Member.project_id) == event.project_id,
        col(Member.removed_at).is_(None),
        col(Member.accepted_at).is_not(None),
        col(Member.id) != event.subject_id,
    )
    members = (await session.execute(statement)).scalars().all()
    rows = [
        {
            "id": new_id("notif"),
            "project_id": event.project_id,
            "member_id": member,
            "event_id": event.id,
            "type": type,
            "title": title,
            "body": body,
            "data": data,
            "created_at": now(),
        }
        for member in members
    ]
    if rows:
        await session.execute(insert(Notification).on_conflict_do_nothing(), rows)
