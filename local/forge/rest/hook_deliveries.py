"""What was sent to a webhook, and sending it again."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from local.forge.rest.dependencies import PositiveId, WritableRepository
from local.forge.viewer import Json
from local.forge.webhooks import deliveries, hooks

router = APIRouter(prefix="/repos/{owner}/{repo}/hooks/{key}/deliveries")


@router.get("")
async def list_deliveries(
    key: PositiveId,
    found: WritableRepository,
    request: Request,
    response: Response,
    per_page: Annotated[int, Query(ge=1)] = 30,
    cursor: int | None = None,
) -> list[Json]:
    """Newest first; the cursor is in the Link header."""
    hook = await hooks.get(found, key)
    limit = min(per_page, 100)
    listed = await deliveries.list_finished(found.db, hook, limit + 1, cursor)
    if len(listed) > limit:
        following = request.url.include_query_params(cursor=listed[limit - 1].id)
        response.headers["Link"] = f'<{following}>; rel="next"'
    return [delivery.item(hook) for delivery in listed[:limit]]


@router.get("/{delivery_id}")
async def one_delivery(key: PositiveId, delivery_id: PositiveId, found: WritableRepository) -> Json:
    hook = await hooks.get(found, key)
    return (await deliveries.get(found.db, hook, delivery_id)).shape(hook)


@router.post("/{delivery_id}/attempts", status_code=202)
async def deliver_again(key: PositiveId, delivery_id: PositiveId, found: WritableRepository) -> Json:
    hook = await hooks.get(found, key)
    await deliveries.enqueue_redelivery(found.db, await deliveries.get(found.db, hook, delivery_id))
    return {}
