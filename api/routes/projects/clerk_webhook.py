"""Clerk's webhook: the sign-in service of a dashboard tells whose account was deleted."""

from fastapi import Request
from pydantic import ValidationError

from api.http.errors import invalid_request
from api.http.router import Router
from api.projects.clerk_webhook import USER_DELETED, anonymize_user, require_signature
from api.routes.github.webhook import Received
from api.state import app_state_of
from kit.errors import NotFound
from models.projects.clerk_payloads import ClerkEvent, UserDeleted

router = Router("/clerk", "Webhooks", base="")


@router.post("/webhook", None)
async def receive_clerk_webhook(request: Request) -> Received:
    """Take an event of Clerk's webhook, signed by Svix with the server's secret.

    `user.deleted` anonymises the member in every project: by the account's id where a member has one
    (`codecourier members add --external-id`), else by the primary address if the event tells a verified one.
    The keys are refused at once. Everything else is ignored. 404 as long as the server has no
    `CLERK_WEBHOOK_SECRET`.
    """
    api = app_state_of(request)
    if api.settings.clerk_webhook_secret is None:
        raise NotFound("No webhooks are taken here: CLERK_WEBHOOK_SECRET is not set.")
    body = await request.body()
    delivery = require_signature(api.settings.clerk_webhook_secret.get_secret_value(), body, request.headers)
    try:
        if ClerkEvent.model_validate_json(body).type != USER_DELETED:
            return Received(status="ignored")
        user = UserDeleted.model_validate_json(body).data
    except ValidationError as error:
        raise invalid_request(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        ) from None
    if not await anonymize_user(api.database, delivery, user):
        return Received(status="repeated")
    await api.keys.wait_for_propagation()
    return Received(status="accepted")
