"""An endpoint's deliveries: made from the feed, sent attempt by attempt, and the outcome of each recorded."""

from datetime import datetime, timedelta
from typing import Final

import orjson
from pydantic import BaseModel
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.gateway_factory import GatewayFactory, external_call
from gateways.webhooks.sender import MAX_EXCERPT_CHARS, DeliveryOutcome, WebhookSender
from kit.database import Database
from kit.redaction import Redactor
from kit.settings import Settings
from kit.storable_text import replace_unstorable
from models.webhooks.delivery import DeliveryStatus, WebhookDelivery, skip_pending
from models.webhooks.endpoint import WebhookEndpoint, disable_and_notify
from models.webhooks.event_patterns import matches_sql
from models.webhooks.feed import FeedPosition, events_between, has_unsettled, position_of, settled_position
from models.webhooks.schemas import attempt_json

MAX_CONCURRENT_DELIVERIES: Final = 8
"""Deliveries of one endpoint that are sent at the same time; one, while it fails."""
MAX_EVENTS_PER_REQUEST: Final = 200
"""Events that are taken from the feed by one look."""
_MATCHES_PATTERNS_SQL: Final = matches_sql("event.type", "CAST(:patterns AS jsonb)")
_FAILING_REASON: Final = "Nothing was received for five days: enable it again once it answers."
_GONE_REASON: Final = "It answered 410 Gone, which means that it wants nothing any more."


class DueRequest(BaseModel):
    endpoint_id: str
    at: datetime
    """The workflow's own time: what is due by then is sent."""
    sending: list[str]
    """Deliveries that are being sent."""


class DueDeliveries(BaseModel):
    """What there is to do for an endpoint."""

    is_over: bool = False
    """It was deleted or disabled."""
    due: list[str] = []
    next_at: datetime | None = None
    """When the next delivery is due."""
    is_behind: bool = False
    """The feed has more right now."""
    is_unsettled: bool = False
    """The feed will have more once an older transaction is over."""


class DeliveryAttempt(BaseModel):
    endpoint_id: str
    delivery_id: str
    at: datetime
    """The workflow's own time when it was decided on; the next one is planned from it."""


class WebhookDeliveryActivities:
    def __init__(self, database: Database, settings: Settings, outside: GatewayFactory) -> None:
        self.database, self.outside = database, outside
        self.sender = WebhookSender(
            allow_private=settings.webhook_allow_private, deadline_seconds=settings.webhook_timeout_seconds
        )

    @activity.defn(name="look_at_webhook")
    async def take_due_deliveries(self, look: DueRequest) -> DueDeliveries:
        """Take what is new from the feed, and tell what is due.

        The endpoint's place in the feed moves in the transaction that writes the deliveries, and its row is
        held meanwhile: killed before the commit nothing happened; carried out again, or twice at once, the
        second one goes on where the first one stopped.
        """
        async with self.database.transaction() as session:
            endpoint = await session.get(WebhookEndpoint, look.endpoint_id, with_for_update=True)
            if endpoint is None or not endpoint.is_enabled:
                return DueDeliveries(is_over=True)
            until = await settled_position(session)
            is_behind = await self._take_events(session, endpoint, until, look.at)
            outlook = await _find_due(session, endpoint, look)
            outlook.is_behind = is_behind
            outlook.is_unsettled = not is_behind and await has_unsettled(session, endpoint.project_id, until)
            return outlook

    async def _take_events(
        self, session: AsyncSession, endpoint: WebhookEndpoint, until: FeedPosition, at: datetime
    ) -> bool:
        """Whether there is more after it."""
        statement = events_between(endpoint.project_id, endpoint.feed_position, until).where(
            text(_MATCHES_PATTERNS_SQL).bindparams(patterns=orjson.dumps(endpoint.events).decode())
        )
        events = (await session.execute(statement.limit(MAX_EVENTS_PER_REQUEST))).scalars().all()
        rows = [WebhookDelivery.from_event(endpoint, event, at).model_dump() for event in events]
        if rows:
            await session.execute(insert(WebhookDelivery).on_conflict_do_nothing(), rows)
        is_behind = len(events) == MAX_EVENTS_PER_REQUEST
        endpoint.set_feed_position(position_of(events[-1]) if is_behind else until)
        return is_behind

    @activity.defn
    async def attempt_delivery(self, attempt: DeliveryAttempt) -> None:
        """Send a pending delivery once and record what came of it.

        Killed between the two it is sent again, under the same `webhook-id`: receivers get everything at
        least once.  While a first execution still sends, a second one may too; of their outcomes only the
        first counts, known by the number of attempts that each of them saw.
        """
        async with self.database.transaction() as session:
            endpoint = await session.get(WebhookEndpoint, attempt.endpoint_id)
            delivery = await session.get(WebhookDelivery, attempt.delivery_id)
        if endpoint is None or delivery is None or not endpoint.is_enabled or not delivery.is_pending:
            return
        secrets = [self.outside.vault.open(sealed) for sealed in endpoint.valid_secrets]
        credentials = await self.outside.credentials(endpoint.project_id)  # once it is sent nothing may fail
        with external_call():
            outcome = await self.sender.send(endpoint.url, delivery.id, delivery.payload, secrets)
        if outcome.excerpt is not None:
            masked = credentials.redactor.redact_text(Redactor(secrets).redact_text(outcome.excerpt))
            outcome.excerpt = str(replace_unstorable(masked))[:MAX_EXCERPT_CHARS]
        await self._record(attempt, outcome, seen=delivery.attempt_count, url=endpoint.url)

    @activity.defn
    async def count_broken_attempt(self, attempt: DeliveryAttempt) -> None:
        """Count an attempt that an error of our own ended, so that the schedule goes on.

        Killed after its commit it counts twice: the delivery is tried once less often.
        """
        await self._record(attempt, DeliveryOutcome(error="It could not be sent: an error on our side."))

    async def _record(
        self,
        attempt: DeliveryAttempt,
        outcome: DeliveryOutcome,
        *,
        seen: int | None = None,
        url: str | None = None,
    ) -> None:
        """seen: its attempts before; url: where it was sent: a failure there says nothing of another."""
        async with self.database.transaction() as session:
            endpoint = await session.get(WebhookEndpoint, attempt.endpoint_id, with_for_update=True)
            delivery = await session.get(WebhookDelivery, attempt.delivery_id, with_for_update=True)
            if endpoint is None or delivery is None or seen not in (None, delivery.attempt_count):
                return
            told = attempt_json(
                at=attempt.at,
                status=outcome.status,
                duration_ms=outcome.duration_ms,
                error=outcome.error,
                excerpt=outcome.excerpt,
            )
            if outcome.error is None:
                delivery.succeed(told)
                endpoint.mark_succeeded()
                return
            if url not in (None, endpoint.url):
                delivery.fail(told, attempt.at, for_good=None, wait=timedelta(0))
                return
            endpoint.mark_failed(attempt.at)
            delivery.fail(
                told,
                attempt.at,
                for_good=_GONE_REASON if outcome.is_gone else None,
                wait=timedelta(seconds=outcome.retry_after),
            )
            if outcome.is_gone or endpoint.has_failed_for_long(attempt.at):
                reason = _GONE_REASON if outcome.is_gone else _FAILING_REASON
                await disable_and_notify(session, endpoint, reason)
                await skip_pending(session, endpoint, f"The endpoint was disabled. {reason}")


async def _find_due(session: AsyncSession, endpoint: WebhookEndpoint, look: DueRequest) -> DueDeliveries:
    """What is to be sent now, as far as there is room for it, and when to look again."""
    room = (1 if endpoint.failing_since else MAX_CONCURRENT_DELIVERIES) - len(look.sending)
    if room <= 0:
        return DueDeliveries()
    waiting = (
        col(WebhookDelivery.endpoint_id) == endpoint.id,
        col(WebhookDelivery.status) == DeliveryStatus.pending,
        col(WebhookDelivery.id).not_in(look.sending),
    )
    at = col(WebhookDelivery.next_attempt_at)
    statement = select(col(WebhookDelivery.id)).where(*waiting, at <= look.at)
    ordered = statement.order_by(at, col(WebhookDelivery.id)).limit(room)
    due = [*(await session.execute(ordered)).scalars()]
    if len(due) == room:
        return DueDeliveries(due=due)
    next_at = (await session.execute(select(func.min(at)).where(*waiting, at > look.at))).scalar_one()
    return DueDeliveries(due=due, next_at=next_at)
