"""What GitHub tells: whether it is GitHub at all, whom it concerns, and waking those."""

import asyncio
from collections.abc import Iterable

from temporalio.client import Client

from api.engine import Engine
from kit.crypto import same, signature
from kit.database import Database
from kit.errors import AppError, AuthInvalid, AuthMissing
from kit.logs import logger
from models.github_delivery import take_delivery
from models.github_payload import ChecksPayload, PullRequestPayload
from models.github_waiting import merging, runs_of_pull_request, waiting_for_checks
from models.merge_ending import note_merged

log = logger(__name__)
SIGNAL = "checks_changed"
"""To runs that follow CI and to merges: look again, now."""


def must_be_signed(secret: str, body: bytes, given: str | None) -> None:
    """Compare `X-Hub-Signature-256` with the body's own; AuthMissing or AuthInvalid."""
    if given is None:
        raise AuthMissing("There is no X-Hub-Signature-256: set the webhook's secret on GitHub.")
    if not same(f"sha256={signature(secret, body)}", given):
        raise AuthInvalid("X-Hub-Signature-256 does not fit: the secret on GitHub is not the one set here.")


async def hear(
    database: Database, delivery: str, event: str, told: ChecksPayload | PullRequestPayload
) -> list[str] | None:
    """Keep what a delivery tells, and whom to wake of it; None when it was taken before.

    All of it is one transaction with the delivery itself: if it fails, GitHub may deliver it again.
    """
    async with database.transaction() as session:
        if not await take_delivery(session, delivery, event):
            return None
        if isinstance(told, ChecksPayload):
            return await waiting_for_checks(session, told.slug, told.checked)
        pull = told.pull_request
        if told.is_merged:
            for run in await runs_of_pull_request(session, told.slug, pull.number):
                await note_merged(session, run, {"mergeSha": pull.merge_commit_sha})
        return await merging(session, told.slug, pull.number)


async def wake(engine: Engine, ids: Iterable[str]) -> None:
    """Signal the workflows of these ids; one that cannot be reached looks by itself a little later."""

    async def signal(id: str) -> None:
        async def tell(client: Client) -> None:
            await client.get_workflow_handle(id).signal(SIGNAL)

        try:
            await engine.do(tell)
        except AppError as error:
            log.info("not woken", workflow_id=id, reason=error.message)

    await asyncio.gather(*map(signal, ids))
