"""GitHub's webhook."""

from typing import Annotated, Literal

from fastapi import BackgroundTasks, Header, Request
from pydantic import ValidationError

from api.context import api_of
from api.errors import invalid
from api.github_webhook import hear, must_be_signed, wake
from api.router import Router
from kit.errors import Invalid, NotFound
from kit.wire import Wire
from models.github_payload import PAYLOADS
from models.view import example

router = Router("/github", "Webhooks", base="")
Text = Annotated[str | None, Header(max_length=200)]


class Received(Wire):
    """What became of a delivery: `ignored` is an event that is not heeded, `repeated` one taken before."""

    model_config = example(status="accepted")
    status: Literal["accepted", "ignored", "repeated"]


@router.post("/webhook", None)
async def receive_github_webhook(
    request: Request,
    background: BackgroundTasks,
    x_hub_signature_256: Text = None,
    x_github_event: Text = None,
    x_github_delivery: Text = None,
) -> Received:
    """Take an event of GitHub's webhook, signed with the server's secret.

    `check_run`, `check_suite` and `status` wake the runs and merges that wait for the commit; `pull_request`
    tells of merges and wakes those under way. Everything else is ignored. 404 as long as the server has no
    `GITHUB_WEBHOOK_SECRET`. Choose the content type `application/json` on GitHub.
    """
    api = api_of(request)
    if api.settings.github_webhook_secret is None:
        raise NotFound("No webhooks are taken here: GITHUB_WEBHOOK_SECRET is not set.")
    body = await request.body()
    must_be_signed(api.settings.github_webhook_secret.get_secret_value(), body, x_hub_signature_256)
    if x_github_event not in PAYLOADS:
        return Received(status="ignored")
    if not x_github_delivery:
        raise Invalid("X-GitHub-Delivery: This header is required.", field="X-GitHub-Delivery")
    try:
        told = PAYLOADS[x_github_event].model_validate_json(body)
    except ValidationError as error:
        raise invalid([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]) from None
    ids = await hear(api.database, x_github_delivery, x_github_event, told)
    if ids is None:
        return Received(status="repeated")
    background.add_task(wake, api.engine, ids)
    return Received(status="accepted")
