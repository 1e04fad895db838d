"""A webhook endpoint: an address of the user's that is told of the project's events."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, Column
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import prefixed
from models.base import Json, JsonObject, Timestamp, now
from models.event import Eventful, EventType, append_event
from models.notifications.notification import NotificationType, notify_members
from models.webhooks.event_patterns import ALL_EVENTS
from models.webhooks.feed import FeedPosition
from models.webhooks.secret_rotation import SecretRotation

MAX_ENDPOINTS: Final = 50
"""Of one project."""
DISABLE_AFTER: Final = timedelta(days=5)
"""After so long of nothing but failures an endpoint is disabled."""


def new_secret() -> str:
    """A secret as the Standard Webhooks specification writes them: 256 bits of chance."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class WebhookEndpoint(SecretRotation, Eventful, table=True):
    """Each valid secret signs; its place in the feed moves in the transaction that writes the deliveries."""

    id: str = Field(default_factory=prefixed("whe"), primary_key=True)
    url: str
    description: str | None = None
    events: list[str] = Field(default_factory=lambda: [ALL_EVENTS], sa_type=Json)
    is_enabled: bool = True
    disabled_at: datetime | None = Field(default=None, sa_type=Timestamp)
    disabled_reason: str | None = None
    failing_since: datetime | None = Field(default=None, sa_type=Timestamp)
    """The first failure since anything was received."""

    xact_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    position: int = Field(sa_column=Column(BigInteger, nullable=False))
    """With `xact_id`: up to where the feed was read."""
    skipped_before: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """Events of transactions before this one happened while it was disabled: they are listed, not sent."""

    @property
    def feed_position(self) -> FeedPosition:
        return FeedPosition(self.xact_id, self.position)

    def set_feed_position(self, place: FeedPosition) -> None:
        """The feed was read up to here."""
        self.xact_id, self.position = place

    def enable(self, present: FeedPosition) -> None:
        """Go on sending; what happened since it was disabled is listed as skipped."""
        if self.is_enabled:
            return
        self.skipped_before = present.xact_id
        self.is_enabled, self.disabled_at, self.disabled_reason, self.failing_since = True, None, None, None

    def disable(self, reason: str) -> None:
        """Send nothing any more; the first reason stays."""
        if self.is_enabled:
            self.is_enabled, self.disabled_at, self.disabled_reason = False, now(), reason

    def mark_succeeded(self) -> None:
        """Something was received."""
        self.failing_since = None

    def mark_failed(self, at: datetime) -> None:
        """Something was not received at this moment."""
        self.failing_since = self.failing_since or at

    def has_failed_for_long(self, at: datetime) -> bool:
        return self.failing_since is not None and at - self.failing_since >= DISABLE_AFTER


async def disable_and_notify(session: AsyncSession, endpoint: WebhookEndpoint, reason: str) -> None:
    """Disable an endpoint that cannot be reached, once, and tell the members.  The caller holds its row."""
    if not endpoint.is_enabled:
        return
    endpoint.disable(reason)
    data: JsonObject = {"webhookEndpointId": endpoint.id, "reason": reason}
    event = append_event(session, endpoint, EventType.webhook_disabled, data)
    await session.flush()
    await notify_members(
        session, event, NotificationType.webhook_disabled, "A webhook endpoint was disabled", reason, data
    )
