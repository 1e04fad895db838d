"""A delivery: one event on its way to one endpoint, with every attempt to send it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Index, UniqueConstraint, delete, select, update
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import lowest_id, new_id, prefixed
from kit.schemas import format_timestamp
from models.base import Json, JsonObject, Table, Timestamp, enum_column, now
from models.event import Event
from models.webhooks.endpoint import WebhookEndpoint
from models.webhooks.feed import position_of

RETRY_DELAYS: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The wait before each attempt: about 75 hours in all, as Standard Webhooks proposes."""
MAX_RETRY_DELAY: Final = timedelta(hours=24)
"""That a receiver may ask for."""
MAX_LISTED_ATTEMPTS: Final = 50
"""Kept in a delivery's list, the newest ones; only who sends again by hand gets beyond ten."""
PING: Final = "ping"
RETENTION: Final = timedelta(days=30)
"""How long a delivery is listed, and can be sent again."""


class DeliveryStatus(StrEnum):
    """`pending` until it is received or given up, `delivered`, `failed` when no attempt was received, or
    `skipped` because the endpoint was disabled."""

    pending = "pending"
    delivered = "delivered"
    failed = "failed"
    skipped = "skipped"


class WebhookDelivery(Table, table=True):
    """Its id is the `webhook-id` of every attempt."""

    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        Index("webhook_delivery_listed", "endpoint_id", "id"),
        Index("webhook_delivery_by_status", "endpoint_id", "status", "id"),
        Index(
            "webhook_delivery_due", "endpoint_id", "next_attempt_at", postgresql_where="status = 'pending'"
        ),
    )
    id: str = Field(default_factory=prefixed("whd"), primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    endpoint_id: str = Field(foreign_key="webhook_endpoint.id", ondelete="CASCADE")
    event_id: str
    event_type: str
    payload: JsonObject = Field(sa_type=Json)
    status: DeliveryStatus = Field(default=DeliveryStatus.pending, sa_type=enum_column(DeliveryStatus))
    reason: str | None = None
    """Why it failed or was skipped."""
    tries: int = 0
    """Attempts of the schedule that is going on; one that is sent again by hand begins anew."""
    attempt_count: int = 0
    attempts: list[JsonObject] = Field(default_factory=list, sa_type=Json)
    """As they are on the wire, the newest last."""
    next_attempt_at: datetime | None = Field(default=None, sa_type=Timestamp)
    delivered_at: datetime | None = Field(default=None, sa_type=Timestamp)
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)

    @classmethod
    def from_event(cls, endpoint: WebhookEndpoint, event: Event, at: datetime) -> "WebhookDelivery":
        """An event's, due at once; skipped if the endpoint was disabled when it happened."""
        place = position_of(event)
        delivery = cls(
            project_id=endpoint.project_id,
            endpoint_id=endpoint.id,
            event_id=event.id,
            event_type=event.type,
            payload={
                "type": event.type,
                "timestamp": format_timestamp(event.created_at),
                "data": {
                    "eventId": event.id,
                    "projectId": event.project_id,
                    "subjectId": event.subject_id,
                    "seq": event.seq,
                    "position": str(place),
                    "data": event.data,
                },
            },
            next_attempt_at=at,
        )
        if place.xact_id < endpoint.skipped_before:
            delivery.skip("It happened while the endpoint was disabled.")
        return delivery

    @classmethod
    def ping(cls, endpoint: WebhookEndpoint) -> "WebhookDelivery":
        """A test: an event that is sent to this endpoint only."""
        event_id, at = new_id("evt"), now()
        return cls(
            project_id=endpoint.project_id,
            endpoint_id=endpoint.id,
            event_id=event_id,
            event_type=PING,
            payload={
                "type": PING,
                "timestamp": format_timestamp(at),
                "data": {
                    "eventId": event_id,
                    "projectId": endpoint.project_id,
                    "subjectId": endpoint.id,
                    "seq": 0,
                    "position": None,
                    "data": {},
                },
            },
            next_attempt_at=at,
        )

    @property
    def is_pending(self) -> bool:
        return self.status is DeliveryStatus.pending

    def resend(self) -> None:
        """Send it now, whatever came of it before; the whole schedule is before it again."""
        self.status, self.reason, self.tries, self.next_attempt_at = DeliveryStatus.pending, None, 0, now()

    def skip(self, reason: str) -> None:
        self.status, self.reason, self.next_attempt_at = DeliveryStatus.skipped, reason, None

    def succeed(self, attempt: JsonObject) -> None:
        """It was received: that counts even where nobody waits for it any more."""
        self._note(attempt)
        self.status, self.reason, self.next_attempt_at = DeliveryStatus.delivered, None, None
        self.delivered_at = now()

    def fail(self, attempt: JsonObject, at: datetime, *, for_good: str | None, wait: timedelta) -> None:
        """It was not received by an attempt that began at `at`.

        for_good: why it is not tried again; wait: what the receiver asked for.
        """
        self._note(attempt)
        if not self.is_pending:
            return
        self.tries += 1
        if for_good is None and self.tries == len(RETRY_DELAYS):
            for_good = f"It was not received in {len(RETRY_DELAYS)} attempts."
        if for_good is not None:
            self.status, self.reason, self.next_attempt_at = DeliveryStatus.failed, for_good, None
        else:
            self.next_attempt_at = at + max(RETRY_DELAYS[self.tries], min(wait, MAX_RETRY_DELAY))

    def _note(self, attempt: JsonObject) -> None:
        self.attempt_count += 1
        self.attempts = [*self.attempts, attempt][-MAX_LISTED_ATTEMPTS:]


async def skip_pending(session: AsyncSession, endpoint: WebhookEndpoint, reason: str) -> None:
    """What still waits for an endpoint that was disabled is not sent."""
    of_endpoint = col(WebhookDelivery.endpoint_id) == endpoint.id
    statement = update(WebhookDelivery).where(
        of_endpoint, col(WebhookDelivery.status) == DeliveryStatus.pending
    )
    skipped = {"status": DeliveryStatus.skipped, "reason": reason, "next_attempt_at": None}
    await session.execute(statement.values(**skipped), execution_options={"synchronize_session": False})


async def resend_range(
    session: AsyncSession,
    endpoint: WebhookEndpoint,
    since: datetime,
    before: datetime,
    statuses: list[DeliveryStatus],
) -> int:
    """Send again what was made from `since` until `before` and has one of the statuses; how many."""
    conditions: list[ColumnElement[bool]] = [
        col(WebhookDelivery.endpoint_id) == endpoint.id,
        col(WebhookDelivery.created_at) >= since,
        col(WebhookDelivery.created_at) < before,
        col(WebhookDelivery.status).in_(statuses),
    ]
    anew = {"status": DeliveryStatus.pending, "reason": None, "tries": 0, "next_attempt_at": now()}
    statement = update(WebhookDelivery).where(*conditions).values(**anew)
    found = await session.execute(
        statement.returning(col(WebhookDelivery.id)), execution_options={"synchronize_session": False}
    )
    return len(found.all())


async def prune_deliveries(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete the oldest deliveries of before a moment, except pending ones; how many."""
    older = col(WebhookDelivery.id) < lowest_id("whd", before)
    old = (
        select(col(WebhookDelivery.id))
        .where(older, col(WebhookDelivery.status) != DeliveryStatus.pending)
        .order_by(col(WebhookDelivery.id))
        .limit(limit)
    )
    statement = delete(WebhookDelivery).where(col(WebhookDelivery.id).in_(old))
    return len((await session.execute(statement.returning(col(WebhookDelivery.id)))).all())
