"""Webhook endpoints, their deliveries and the feed of events on the wire."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Secret, UtcTimestamp, Wire
from models.base import JsonObject
from models.json_view import JsonView, example, unset_field
from models.webhooks.delivery import DeliveryStatus, WebhookDelivery
from models.webhooks.endpoint import WebhookEndpoint
from models.webhooks.event_patterns import ALL_EVENTS, Pattern
from models.webhooks.secret_rotation import OLD_SECRETS_UNTIL_SQL

ENDPOINT = "whe_0198f2c9b1c27d3e8f4a5b6c7d8e9f0a"
DELIVERY = "whd_0198f2c9c2d37e4f8a5b6c7d8e9f0a1b"
_PROJECT = "prj_0198f2c3a1b27c3d8e4f5a6b7c8d9e0f"
_EVENT = "evt_0198f2c5e4f57a1b9c2d4e6f8a0b1c2f"
_RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
_NOW = "2026-01-15T10:05:00.000Z"
_PAYLOAD: JsonDict = {
    "type": "run.completed",
    "timestamp": _NOW,
    "data": {
        "eventId": _EVENT,
        "projectId": _PROJECT,
        "subjectId": _RUN,
        "seq": 12,
        "position": "742.18",
        "data": {"prUrl": "https://github.com/org/repo/pull/7"},
    },
}
_ENDPOINT: JsonDict = {
    "id": ENDPOINT,
    "_id": ENDPOINT,
    "url": "https://example.com/hooks/codecourier",
    "description": "Tells the release bot",
    "events": ["run.*", "pr.created"],
    "isEnabled": True,
    "disabledAt": None,
    "disabledReason": None,
    "failingSince": None,
    "oldSecretsUntil": None,
    "createdAt": _NOW,
    "updatedAt": _NOW,
}

Url = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[\x21-\x7e]+$")]
Description = Annotated[str, Field(max_length=2000)]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=100)]


class WebhookEndpointRead(Read):
    """An address that is told of the project's events.  Its secret is shown once, when it is made."""

    model_config = example(**_ENDPOINT)
    url: str
    """Where events are sent by POST."""
    description: str | None
    """What it is for, in your words."""
    events: list[str]
    """The types of events that are sent: `run.completed`, all that begin alike (`run.*`), or `*` for all."""
    is_enabled: bool
    """Whether events are sent to it."""
    disabled_at: UtcTimestamp | None
    """When it was disabled."""
    disabled_reason: str | None
    """Why it was disabled: by you, by its answer 410, or since it had failed for days."""
    failing_since: UtcTimestamp | None
    """The first failure since anything was received; null while all is well."""
    old_secrets_until: UtcTimestamp | None
    """Until when replaced secrets sign too; null when only the present one signs."""
    created_at: UtcTimestamp
    """When it was made."""
    updated_at: UtcTimestamp
    """When it was last changed by you."""


class NewWebhookEndpoint(WebhookEndpointRead):
    """An endpoint with its new secret, which is shown here and never again."""

    model_config = example(**_ENDPOINT, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw…")  # noqa: S106
    secret: Secret
    """The key that deliveries are signed with, as libraries of Standard Webhooks take it."""


class WebhookEndpointCreate(Body):
    """A new endpoint."""

    model_config = example(
        url="https://example.com/hooks/codecourier",
        events=["run.*", "pr.created"],
        description="Tells the release bot",
    )
    url: Url
    """Where events are sent by POST: an https address on the public internet, without a password."""
    events: Patterns = Field(default_factory=lambda: [ALL_EVENTS])
    """The types of events to send: `run.completed`, all that begin alike (`run.*`), or `*` for all."""
    description: Description | None = None
    """What it is for, in your words."""
    is_enabled: bool = True
    """Whether to send events from now on."""


class WebhookEndpointUpdate(Body):
    """Only the given fields change; `null` clears the description."""

    model_config = example(events=["run.completed", "run.failed"], isEnabled=True)
    url: Url = unset_field()
    """Where events are sent by POST; what is on its way goes there too."""
    events: Patterns = unset_field()
    """The types of events to send from now on."""
    description: Description | None = unset_field()
    """What it is for, in your words."""
    is_enabled: bool = unset_field()
    """`false`: send nothing, what waits is skipped. `true`: send what happens from now on."""


class WebhookAttempt(Wire):
    """One attempt to send a delivery."""

    at: UtcTimestamp
    """When it began."""
    status: int | None
    """The HTTP status of the answer; null when there was none."""
    duration_ms: int
    """How long it took, in milliseconds."""
    error: str | None
    """Why it does not count as received; null when it does."""
    response_excerpt: str | None
    """The beginning of the answer's body, with secrets masked."""


class WebhookDeliveryRead(Read):
    """One event on its way to one endpoint.  Its id is the `webhook-id` of each attempt."""

    model_config = example(
        id=DELIVERY,
        _id=DELIVERY,
        endpointId=ENDPOINT,
        eventId=_EVENT,
        eventType="run.completed",
        payload=_PAYLOAD,
        status="delivered",
        reason=None,
        attemptCount=1,
        attempts=[
            {"at": _NOW, "status": 200, "durationMs": 87, "error": None, "responseExcerpt": "ok"},
        ],
        nextAttemptAt=None,
        deliveredAt=_NOW,
        createdAt=_NOW,
    )
    endpoint_id: str
    """The endpoint that it is sent to."""
    event_id: str
    """The event that it tells of."""
    event_type: str
    """The type of the event; `ping` for a test."""
    payload: JsonObject
    """The body that is sent: `{type, timestamp, data}`."""
    status: DeliveryStatus
    """`pending`: to be sent, or sent again; `failed`: not received by any attempt; `skipped`: not sent."""
    reason: str | None
    """Why it failed or was skipped."""
    attempt_count: int
    """How often it was tried in all."""
    attempts: list[WebhookAttempt]
    """The attempts, the newest last; the last fifty of them."""
    next_attempt_at: UtcTimestamp | None
    """When it is tried next; null once it is over."""
    delivered_at: UtcTimestamp | None
    """When it was received."""
    created_at: UtcTimestamp
    """When the event was taken from the feed."""


def _parse_moment(given: object) -> object:
    """Pydantic itself would also take seconds since 1970."""
    if not isinstance(given, str) or not _WRITTEN.match(given):
        raise ValueError("give a moment with its time zone, like 2026-01-15T10:05:00Z")
    return given


_WRITTEN = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]", re.ASCII)
MomentText = Annotated[AwareDatetime, BeforeValidator(_parse_moment)]
Statuses = Annotated[list[DeliveryStatus], Field(min_length=1, max_length=len(DeliveryStatus))]


class WebhookResend(Body):
    """Which deliveries to send again."""

    model_config = example(
        after="2026-01-15T00:00:00Z", before="2026-01-16T00:00:00Z", status=["failed", "skipped"]
    )
    after: MomentText
    """The first moment of the range: deliveries made then or later."""
    before: MomentText
    """The end of the range: deliveries made before it."""
    status: DeliveryStatus | Statuses = Field(
        default_factory=lambda: [DeliveryStatus.failed, DeliveryStatus.skipped]
    )
    """Only these, one or several; unless given those that were not received."""

    @property
    def statuses(self) -> list[DeliveryStatus]:
        return self.status if isinstance(self.status, list) else [self.status]

    @model_validator(mode="after")
    def _in_order(self) -> "WebhookResend":
        if self.before <= self.after:
            raise ValueError("before: must be later than after")
        return self


class ResendCount(Wire):
    """How many deliveries are sent again."""

    model_config = example(count=3)
    count: int
    """How many deliveries are sent again."""


class FeedEventRead(Read):
    """One event of the project."""

    model_config = example(
        id=_EVENT,
        _id=_EVENT,
        position="742.18",
        projectId=_PROJECT,
        subjectId=_RUN,
        seq=12,
        type="run.completed",
        createdAt=_NOW,
        data={"prUrl": "https://github.com/org/repo/pull/7"},
    )
    position: str
    """Its place in the feed; pass it as `after`, or as `Last-Event-ID`, to read on from here."""
    project_id: str
    """The project that it happened in."""
    subject_id: str
    """What it happened to: a run, a chain, a session, an issue…"""
    seq: int
    """Its place in the gapless log of its subject."""
    type: str
    """What happened."""
    created_at: UtcTimestamp
    """When it was written."""
    data: JsonObject
    """More about it, by its type."""


def endpoint_with_secret(endpoint: WebhookEndpoint, secret: str) -> NewWebhookEndpoint:
    """The one answer that shows the secret."""
    shown = {name: getattr(endpoint, name) for name in WebhookEndpointRead.model_fields}
    return NewWebhookEndpoint(**shown, secret=secret)


def attempt_json(
    *, at: datetime, status: int | None, duration_ms: int, error: str | None, excerpt: str | None
) -> JsonObject:
    """An attempt as a delivery's row keeps it."""
    attempt = WebhookAttempt(
        at=at, status=status, duration_ms=duration_ms, error=error, response_excerpt=excerpt
    )
    return attempt.model_dump(mode="json", by_alias=True)


WEBHOOK_ENDPOINTS = JsonView(
    WebhookEndpointRead,
    WebhookEndpoint,
    "Webhook endpoint",
    shown={"old_secrets_until": OLD_SECRETS_UNTIL_SQL},
)
WEBHOOK_DELIVERIES = JsonView(WebhookDeliveryRead, WebhookDelivery, "Webhook delivery", scope="endpoint_id")
