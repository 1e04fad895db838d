"""Webhook endpoints: addresses of the user's that are told of the project's events."""

from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlalchemy import func, select
from sqlmodel import col
from temporalio.client import Client

from activities.webhooks.waking import WebhookInput, wake_endpoint
from api.after_commit import AfterCommit, AfterCommitDep, DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from gateways.webhooks.addresses import AddressRefused, check_url
from kit.errors import Conflict, Invalid
from models.base import now
from models.projects.project import Role
from models.webhooks.delivery import DeliveryStatus, WebhookDelivery, resend_range, skip_pending
from models.webhooks.endpoint import MAX_ENDPOINTS, WebhookEndpoint, new_secret
from models.webhooks.feed import settled_position
from models.webhooks.schemas import (
    WEBHOOK_DELIVERIES,
    WEBHOOK_ENDPOINTS,
    NewWebhookEndpoint,
    ResendCount,
    WebhookDeliveryRead,
    WebhookEndpointCreate,
    WebhookEndpointRead,
    WebhookEndpointUpdate,
    WebhookResend,
    endpoint_with_secret,
)

router = Router("/webhooks/endpoints", "Webhooks")
READ, WRITE = requires("projects:read"), requires("projects:write", role=Role.admin)
Endpoints = Annotated[ProjectRows[WebhookEndpoint, WebhookEndpointRead], project_rows(WEBHOOK_ENDPOINTS)]
Deliveries = Annotated[ProjectRows[WebhookDelivery, WebhookDeliveryRead], project_rows(WEBHOOK_DELIVERIES)]
DISABLED_BY_REQUEST = "It was disabled through the API."


class DeliveryList(PageQuery):
    """Which deliveries."""

    status: DeliveryStatus | None = None
    """Only deliveries of this status."""
    event_type: Annotated[str | None, Field(max_length=100)] = None
    """Only deliveries of events of this type."""


@router.get("", READ)
async def list_webhook_endpoints(
    endpoints: Endpoints, window: Annotated[PageQuery, Query()]
) -> ItemPage[WebhookEndpointRead]:
    """List the project's webhook endpoints, newest first."""
    return endpoints.page(window)


@router.post("", WRITE, creates=True)
async def create_webhook_endpoint(
    body: WebhookEndpointCreate, endpoints: Endpoints, session: DbSession, workflows: AfterCommitDep
) -> NewWebhookEndpoint:
    """Create a webhook endpoint: it is sent the project's events from now on.

    The answer shows the secret, once. Every delivery is signed with it as Standard Webhooks says (headers
    `webhook-id`, `webhook-timestamp`, `webhook-signature`), and comes at least once: after a crash the same
    `webhook-id` may come again. An answer 2xx counts as received; anything else is tried ten times within
    about 75 hours. Redirects are not followed, 410 disables the endpoint, and so do five days of failures.
    Deliveries may overtake each other: `seq` and `position` tell the order.
    """
    unit = endpoints.unit
    _check_address(body.url, unit.api.settings.webhook_allow_private)
    count = select(func.count()).where(col(WebhookEndpoint.project_id) == unit.key.project_id)
    if (await session.execute(count)).scalar_one() >= MAX_ENDPOINTS:
        raise Conflict(f"A project has {MAX_ENDPOINTS} webhook endpoints at most: delete one first.")
    secret, place = new_secret(), await settled_position(session)
    endpoint = endpoints.add(
        **body.model_dump(exclude={"is_enabled"}),
        secret=unit.api.vault.seal(secret),
        xact_id=place.xact_id,
        position=place.position,
    )
    if not body.is_enabled:
        endpoint.disable(DISABLED_BY_REQUEST)
    wake_after_commit(workflows, endpoint)
    return endpoint_with_secret(endpoint, secret)


@router.get("/{id}", READ)
async def get_webhook_endpoint(id: str, endpoints: Endpoints) -> Item[WebhookEndpointRead]:
    """Get one webhook endpoint."""
    return endpoints.item(id)


@router.patch("/{id}", WRITE)
async def update_webhook_endpoint(
    id: str, body: WebhookEndpointUpdate, endpoints: Endpoints, session: DbSession, workflows: AfterCommitDep
) -> Item[WebhookEndpointRead]:
    """Change a webhook endpoint.

    Disabled, it is sent nothing: what waits is skipped, and what happens meanwhile is listed as skipped once
    it is enabled again; all of that can be sent again.
    """
    endpoint = await endpoints.get(id, lock=True)
    given = body.model_dump(exclude_unset=True)
    is_enabled = given.pop("is_enabled", endpoint.is_enabled)
    if given.get("url", endpoint.url) != endpoint.url:
        _check_address(body.url, endpoints.unit.api.settings.webhook_allow_private)
        endpoint.mark_succeeded()
    endpoint.sqlmodel_update(given | {"updated_at": now()})
    if is_enabled:
        endpoint.enable(await settled_position(session))
    else:
        endpoint.disable(DISABLED_BY_REQUEST)
        await skip_pending(session, endpoint, DISABLED_BY_REQUEST)
    wake_after_commit(workflows, endpoint)
    return endpoints.item(id)


@router.delete("/{id}", WRITE)
async def delete_webhook_endpoint(
    id: str, endpoints: Endpoints, session: DbSession, workflows: AfterCommitDep
) -> WebhookEndpointRead:
    """Delete a webhook endpoint and its deliveries; what waits is not sent."""
    endpoint = await endpoints.get(id, lock=True)
    gone = WebhookEndpointRead.model_validate(endpoint)
    await session.delete(endpoint)
    wake_after_commit(workflows, endpoint)
    return gone


@router.post("/{id}/rotate-secret", WRITE)
async def rotate_webhook_secret(id: str, endpoints: Endpoints) -> NewWebhookEndpoint:
    """Replace the secret of a webhook endpoint; the answer shows the new one, once.

    For 24 hours every delivery is signed with both, so that receivers change over without a gap.
    """
    endpoint = await endpoints.get(id, lock=True)
    secret = new_secret()
    endpoint.rotate(endpoints.unit.api.vault.seal(secret))
    return endpoint_with_secret(endpoint, secret)


@router.post("/{id}/test", WRITE, creates=True)
async def test_webhook_endpoint(
    id: str, endpoints: Endpoints, deliveries: Deliveries, session: DbSession, workflows: AfterCommitDep
) -> Item[WebhookDeliveryRead]:
    """Send a `ping` to a webhook endpoint, the way every event is sent.

    The answer is its delivery; get it again to see what came of it.
    """
    endpoint = require_enabled(await endpoints.get(id, lock=True))
    delivery = WebhookDelivery.ping(endpoint)
    session.add(delivery)
    wake_after_commit(workflows, endpoint)
    return deliveries.item(delivery.id)


@router.get("/{id}/deliveries", READ)
async def list_webhook_deliveries(
    id: str, endpoints: Endpoints, deliveries: Deliveries, window: Annotated[DeliveryList, Query()]
) -> ItemPage[WebhookDeliveryRead]:
    """List what was sent to a webhook endpoint, with every attempt, newest first."""
    endpoint = await endpoints.get(id)
    return deliveries.page(window, endpoint_id=endpoint.id)


@router.post("/{id}/resend", WRITE)
async def resend_webhook_deliveries(
    id: str, body: WebhookResend, endpoints: Endpoints, session: DbSession, workflows: AfterCommitDep
) -> ResendCount:
    """Send the deliveries of a time range again: those that failed or were skipped, unless others are named.

    Each keeps its `webhook-id` and has the whole schedule of attempts before it again.
    """
    endpoint = require_enabled(await endpoints.get(id, lock=True))
    count = await resend_range(session, endpoint, body.after, body.before, body.statuses)
    wake_after_commit(workflows, endpoint)
    return ResendCount(count=count)


def require_enabled(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    if not endpoint.is_enabled:
        raise Conflict(f"The webhook endpoint is disabled. {endpoint.disabled_reason} Enable it first.")
    return endpoint


def wake_after_commit(workflows: AfterCommit, endpoint: WebhookEndpoint) -> None:
    """After the commit, have the endpoint's workflow look; should that fail, the sweep does."""
    told = WebhookInput.of(endpoint)

    async def tell(client: Client) -> None:
        await wake_endpoint(client, told)

    workflows.notify(endpoint.id, tell)


def _check_address(url: str, allow_private: bool) -> None:
    try:
        check_url(url, allow_private=allow_private)
    except AddressRefused as refused:
        raise Invalid(f"url: {refused}.", field="url") from None
