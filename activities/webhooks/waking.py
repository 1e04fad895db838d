"""Endpoints that have something to do, and how their workflows are told: started if they are not there.

Whoever changes an endpoint or sees a new event wakes its workflow; waking one for nothing costs a look and
changes nothing.  The sweep wakes whoever was forgotten, so a lost wake-up costs time and no delivery.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes

from kit.database import Database
from kit.temporal import KIND, PROJECT_ID, WEBHOOKS_QUEUE
from models.base import now
from models.webhooks.endpoint import WebhookEndpoint
from models.webhooks.event_patterns import matches_sql

WEBHOOK_WORKFLOW: Final = "Webhook"
WAKE_SIGNAL: Final = "wake"
OVERDUE_AFTER: Final = timedelta(seconds=30)
"""A delivery that is late by more waits for a workflow that is not there."""
_MAX_SCANNED_EVENTS: Final = 1_000
"""Events that are looked at for one that is meant; an endpoint that is further behind is woken anyway."""
_BEHIND_SQL: Final = f"""
    SELECT endpoint.id, endpoint.project_id
    FROM webhook_endpoint AS endpoint JOIN project ON project.id = endpoint.project_id
    WHERE endpoint.is_enabled AND endpoint.deleted_at IS NULL AND project.deleted_at IS NULL
        AND (%(projects)s::text[] IS NULL OR endpoint.project_id = ANY(%(projects)s::text[]))
        AND (
            EXISTS (SELECT FROM webhook_delivery AS delivery WHERE delivery.endpoint_id = endpoint.id
                AND delivery.status = 'pending' AND delivery.next_attempt_at < %(overdue)s)
            OR (SELECT count(*) = {_MAX_SCANNED_EVENTS}
                       OR bool_or({matches_sql("later.type", "endpoint.events")})
                FROM (SELECT event.type FROM event WHERE event.project_id = endpoint.project_id
                    AND (event.xact_id, event.position) > (endpoint.xact_id, endpoint.position)
                    ORDER BY event.xact_id, event.position LIMIT {_MAX_SCANNED_EVENTS}) AS later)
        )
    ORDER BY endpoint.id
"""  # noqa: S608


class WebhookInput(BaseModel):
    """What the workflow of an endpoint is told: not its address, which may hold a secret."""

    endpoint_id: str
    project_id: str

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> "WebhookInput":
        return cls(endpoint_id=endpoint.id, project_id=endpoint.project_id)


async def wake_endpoint(client: Client, input: WebhookInput) -> None:
    """Have the endpoint's workflow look at its rows; one that has ended, or never was, is started.

    Raises RPCError when the engine cannot be reached.
    """
    attributes = [SearchAttributePair(PROJECT_ID, input.project_id), SearchAttributePair(KIND, "webhook")]
    await client.start_workflow(
        WEBHOOK_WORKFLOW,
        input,
        id=input.endpoint_id,
        task_queue=WEBHOOKS_QUEUE,
        start_signal=WAKE_SIGNAL,
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=f"Webhooks to endpoint {input.endpoint_id}",
        priority=Priority(fairness_key=input.endpoint_id),
    )


async def find_endpoints_behind(database: Database, projects: Collection[str] | None) -> list[WebhookInput]:
    """Enabled endpoints, of these projects or of all, with events to take or deliveries that are late."""
    values = {"projects": None if projects is None else [*projects], "overdue": now() - OVERDUE_AFTER}
    rows = await database.sql.fetch(_BEHIND_SQL, values)
    names = ("endpoint_id", "project_id")
    return [WebhookInput.model_validate(dict(zip(names, row, strict=True))) for row in rows]
