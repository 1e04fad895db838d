"""Deliveries of webhooks, one by one."""

from api.after_commit import AfterCommitDep, DbSession
from api.http.responses import Item
from api.http.router import Router
from api.routes.webhooks.endpoints import READ, WRITE, Deliveries, require_enabled, wake_after_commit
from kit.errors import NotFound
from models.webhooks.endpoint import WebhookEndpoint
from models.webhooks.schemas import WebhookDeliveryRead

router = Router("/webhooks/deliveries/{id}", "Webhooks")


@router.get("", READ)
async def get_webhook_delivery(id: str, deliveries: Deliveries) -> Item[WebhookDeliveryRead]:
    """Get one delivery, with every attempt."""
    return deliveries.item(id)


@router.post("/resend", WRITE)
async def resend_webhook_delivery(
    id: str, deliveries: Deliveries, session: DbSession, workflows: AfterCommitDep
) -> Item[WebhookDeliveryRead]:
    """Send a delivery now, whatever came of it before.

    It keeps its `webhook-id` and has the whole schedule of attempts before it again.
    """
    seen = await deliveries.get(id)
    # in the order in which the worker locks them
    endpoint = await session.get(WebhookEndpoint, seen.endpoint_id, with_for_update=True)
    if endpoint is None:
        raise NotFound("Webhook endpoint not found.")
    require_enabled(endpoint)
    session.expire(seen)
    delivery = await deliveries.get(id, lock=True)
    delivery.resend()
    wake_after_commit(workflows, endpoint)
    return deliveries.item(delivery.id)
