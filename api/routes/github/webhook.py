"""GitHub's webhook."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import BackgroundTasks, Depends, Header, Path, Request
from pydantic import ValidationError

from api.github.webhook import (
    WebhookEvent,
    WebhookSource,
    find_source,
    operator_source,
    record_delivery,
    require_signature,
    send_follow_ups,
)
from api.http.errors import invalid_request
from api.http.router import Router
from api.state import app_state_of
from kit.errors import Invalid
from kit.schemas import Wire
from models.github.payloads import PAYLOADS
from models.json_view import example

router = Router("/github", "Webhooks", base="")


@dataclass(frozen=True)
class DeliveryHeaders:
    """What GitHub says of a delivery beside its body; FastAPI makes it of the request."""

    x_hub_signature_256: Annotated[
        str | None,
        Header(max_length=200, description="`sha256=` and the HMAC of the body, made with the secret."),
    ] = None
    x_github_event: Annotated[str | None, Header(max_length=200, description="The name of the event.")] = None
    x_github_delivery: Annotated[
        str | None,
        Header(max_length=200, description="The id of the delivery; a repeated one changes nothing."),
    ] = None


Headers = Annotated[DeliveryHeaders, Depends()]


class Received(Wire):
    """What became of a delivery: `ignored` is an event that is not heeded, `repeated` one taken before."""

    model_config = example(status="accepted")
    status: Literal["accepted", "ignored", "repeated"]
    """What became of it."""


@router.post("/webhook", None)
async def receive_github_webhook(request: Request, background: BackgroundTasks, headers: Headers) -> Received:
    """Take an event of the operator's own webhook, as of a GitHub App, signed with the server's secret.

    `check_run`, `check_suite` and `status` wake the runs and merges that wait for the commit; `pull_request`
    wakes the merges under way. `push` and `pull_request` are hints: GitHub is asked whether the pull request
    is merged, and whether the branch has left a verified commit. Everything else is ignored. It concerns
    every project. 404 as long as the server has no `GITHUB_WEBHOOK_SECRET`.
    """
    return await _receive(request, background, operator_source(app_state_of(request)), headers)


@router.post("/webhook/{id}", None)
async def receive_project_github_webhook(
    id: Annotated[str, Path(description="The hook's id.")],
    request: Request,
    background: BackgroundTasks,
    headers: Headers,
) -> Received:
    """Take an event of a webhook of GitHub's, signed with the secret of a hook of a project.

    The same as `POST /github/webhook`, for the rows of the hook's project alone, whatever it says of others.
    `POST /api/v1/github/hooks` makes hooks. Choose the content type `application/json` on GitHub.
    """
    return await _receive(request, background, await find_source(app_state_of(request), id), headers)


async def _receive(
    request: Request, background: BackgroundTasks, source: WebhookSource, headers: DeliveryHeaders
) -> Received:
    body = await request.body()
    require_signature(source, body, headers.x_hub_signature_256)
    event, delivery_id = headers.x_github_event, headers.x_github_delivery
    if event not in PAYLOADS:
        return Received(status="ignored")
    if not delivery_id:
        raise Invalid("X-GitHub-Delivery: This header is required.", field="X-GitHub-Delivery")
    try:
        payload = PAYLOADS[event].model_validate_json(body)
    except ValidationError as error:
        raise invalid_request(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        ) from None
    api = app_state_of(request)
    follow_ups = await record_delivery(api.database, WebhookEvent(source, delivery_id, event, body), payload)
    if follow_ups is None:
        return Received(status="repeated")
    background.add_task(send_follow_ups, api.temporal, follow_ups)
    return Received(status="accepted")
