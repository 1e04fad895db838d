"""Webhook deliveries of GitHub: checks who signed them, records what follows of them, and sends that on.

A delivery is a hint and no more.  Workflows that wait for CI or for a merge are signalled, and look at GitHub
themselves; what else a delivery says of a run is noted, and read on GitHub before a row changes.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from temporalio.client import Client

from activities.github.hints import start_hint_workflow
from api.state import AppState
from api.temporal import Operation, TemporalGateway
from kit.crypto import constant_time_equal, signature
from kit.database import Database
from kit.errors import AppError, AuthInvalid, AuthMissing, NotFound
from kit.logs import logger
from kit.tenancy import EVERY_PROJECT
from models.github.delivery import claim_delivery
from models.github.hint import record_hint
from models.github.hook import find_hook
from models.github.payloads import ChecksPayload, PushPayload, WebhookPayload
from models.github.webhook_targets import (
    find_check_waiters,
    find_merges,
    find_unmerged_runs,
    find_verified_by_branch,
    find_verified_by_number,
)

log = logger(__name__)
CHECKS_CHANGED = "checks_changed"
"""The signal to runs that follow CI and to merges: look again, now."""
OPERATOR_SOURCE = "github"
"""The source's name of the webhook that the operator has set up for all projects, as of a GitHub App."""


@dataclass(frozen=True)
class WebhookSource:
    """A webhook on GitHub, as far as we know it."""

    name: str
    """The hook's id, or `OPERATOR_SOURCE`."""
    project_id: str | None
    """Whose rows it may speak of; None for everybody's."""
    secrets: Sequence[str]
    """What it may sign with."""


@dataclass(frozen=True)
class WebhookEvent:
    """An event as it was received; its signature fits."""

    source: WebhookSource
    id: str
    event: str
    body: bytes

    @property
    def key(self) -> str:
        """Its id, which nobody signs: of each source by itself, so that none uses up another's."""
        return self.id if self.source.name == OPERATOR_SOURCE else f"{self.source.name}:{self.id}"

    @property
    def digest(self) -> str:
        parts = (self.source.name.encode(), self.event.encode(), self.body)
        return sha256(b"\0".join(parts)).hexdigest()


@dataclass(frozen=True)
class FollowUps:
    """What is to be done about a delivery."""

    workflow_ids: Sequence[str] = ()
    """Of the workflows that are sent `CHECKS_CHANGED`."""
    run_ids: Sequence[str] = ()
    """Of the runs that have a new hint."""


def operator_source(api: AppState) -> WebhookSource:
    """The operator's own webhook; NotFound where none is set up."""
    if (secret := api.settings.github_webhook_secret) is None:
        raise NotFound("No webhooks are taken here: GITHUB_WEBHOOK_SECRET is not set.")
    return WebhookSource(OPERATOR_SOURCE, None, [secret.get_secret_value()])


async def find_source(api: AppState, hook_id: str) -> WebhookSource:
    """A project's own hook; NotFound where there is none with this id."""
    async with api.database.for_project(EVERY_PROJECT).read_only() as session:
        hook = await find_hook(session, hook_id)
    return WebhookSource(hook.id, hook.project_id, [api.vault.open(sealed) for sealed in hook.valid_secrets])


def require_signature(source: WebhookSource, body: bytes, given: str | None) -> None:
    """Compare `X-Hub-Signature-256` with the body's own; AuthMissing or AuthInvalid."""
    if given is None:
        raise AuthMissing("There is no X-Hub-Signature-256: set the webhook's secret on GitHub.")
    if not any(constant_time_equal(f"sha256={signature(secret, body)}", given) for secret in source.secrets):
        raise AuthInvalid("X-Hub-Signature-256 does not fit: the secret on GitHub is not the one set here.")


async def record_delivery(
    database: Database, delivery: WebhookEvent, payload: WebhookPayload
) -> FollowUps | None:
    """Record a delivery and the hints in it; None when it was recorded before.

    All of it is one transaction: if it fails, GitHub may deliver it again.
    """
    project_id, slug = delivery.source.project_id, payload.slug
    async with database.for_project(project_id or EVERY_PROJECT).transaction() as session:
        if not await claim_delivery(session, delivery.key, delivery.event, delivery.digest):
            return None
        if isinstance(payload, ChecksPayload):
            return FollowUps(await find_check_waiters(session, project_id, slug, payload.commit_sha))
        hinted: set[str] = set()

        async def note(runs: Iterable[str], **left: str) -> None:
            for run_id in runs:
                await record_hint(session, run_id, **left)
                hinted.add(run_id)

        if isinstance(payload, PushPayload):
            moved = await find_verified_by_branch(session, project_id, slug, payload.branch, payload.before)
            await note(moved, left_sha=payload.before)
            return FollowUps(run_ids=sorted(hinted))
        number = payload.pull_request.number
        if payload.is_merged:
            await note(await find_unmerged_runs(session, project_id, slug, number))
        if payload.before is not None:
            moved = await find_verified_by_number(session, project_id, slug, number, payload.before)
            await note(moved, left_sha=payload.before)
        return FollowUps(await find_merges(session, project_id, slug, number), sorted(hinted))


async def send_follow_ups(engine: TemporalGateway, follow_ups: FollowUps) -> None:
    """Signal the workflows that wait, and start those that read the hints on GitHub.

    A failure is logged and no more: who waits looks by itself a little later, and the sweep starts the rest.
    """

    async def attempt(id: str, operation: Operation[None]) -> None:
        try:
            await engine.call(operation)
        except AppError as error:
            log.info("github.follow_up_deferred", id=id, reason=error.message)

    def signal(workflow_id: str) -> Operation[None]:
        async def send(client: Client) -> None:
            await client.get_workflow_handle(workflow_id).signal(CHECKS_CHANGED)

        return send

    def read_hints(run_id: str) -> Operation[None]:
        async def start(client: Client) -> None:
            await start_hint_workflow(client, run_id)

        return start

    signals = [attempt(workflow_id, signal(workflow_id)) for workflow_id in follow_ups.workflow_ids]
    await asyncio.gather(*signals, *(attempt(run_id, read_hints(run_id)) for run_id in follow_ups.run_ids))
