"""What Clerk tells: whether it is Clerk at all, and forgetting whose account was deleted."""

from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError

from kit.database import Database
from kit.errors import AuthInvalid, AuthMissing
from kit.tenancy import EVERY_PROJECT
from models.github.delivery import claim_delivery
from models.projects.clerk_payloads import ClerkUser
from models.projects.members import anonymize_everywhere

HEADERS = ("id", "timestamp", "signature")
USER_DELETED = "user.deleted"


def require_signature(secret: str, body: bytes, headers: Mapping[str, str]) -> str:
    """The id of the delivery; AuthMissing or AuthInvalid when Clerk did not send it, or long ago.

    Svix signs as Standard Webhooks does, under its own older names of the headers.
    """
    given = {name: headers.get(f"svix-{name}", "") for name in HEADERS}
    if not all(given.values()):
        raise AuthMissing("Svix signs with svix-id, svix-timestamp and svix-signature: one is missing.")
    try:
        signed = {f"webhook-{name}": value for name, value in given.items()}
        Webhook(secret).verify(body, signed, json_parse=False)
    except (WebhookVerificationError, ValueError):
        raise AuthInvalid(
            "svix-signature does not fit, or svix-timestamp is not of the last five minutes:"
            " the signing secret at Clerk may not be the one set here."
        ) from None
    return given["id"]


async def anonymize_user(database: Database, delivery: str, user: ClerkUser) -> bool:
    """Anonymise the member in every project; False when this delivery was taken before.

    All of it is one transaction with the delivery itself: if it fails, Clerk delivers it again.
    """
    async with database.for_project(EVERY_PROJECT).transaction() as session:
        if not await claim_delivery(session, f"clerk:{delivery}", USER_DELETED):
            return False
        await anonymize_everywhere(session, user.id, user.primary_email)
        return True
