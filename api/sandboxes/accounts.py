"""The account at the sandbox provider that a project's sandboxes live in: it may change once none is left."""

import asyncio
from typing import Final

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from api.state import UnitOfWork
from gateways.errors import GatewayError
from gateways.sandboxes.control import SandboxProvider
from kit.errors import Conflict
from models.projects.provider_key import Provider, ProviderKey
from models.reconcile.installation import get_installation
from models.sandboxes.sandbox import Sandbox, SandboxStatus

DEADLINE: Final = 10.0
"""Seconds that a request waits for the account."""
_LIVE_STATUSES: Final = (SandboxStatus.creating, SandboxStatus.running, SandboxStatus.paused)
_UNREACHABLE_MESSAGE: Final = (
    "of the project's sandboxes would be left behind, unreachable, in the account that is used now: "
    "cancel or finish what works in them, delete your own sandboxes, then try again."
)


async def require_reachable_sandboxes(unit: UnitOfWork, session: AsyncSession, key: str | None) -> None:
    """Conflict when sandboxes that live could not be reached, nor killed, with what is used from now on.

    key: the project's new one; None when it has none any more, and the server's is used.  Another key of the
    same account is fine.
    """
    project_id, settings = unit.key.project_id, unit.api.settings
    own = select(ProviderKey).where(
        col(ProviderKey.project_id) == project_id, col(ProviderKey.provider) == Provider.e2b
    )
    # Whoever changes a key waits for whoever does so already.
    before = (await session.execute(own.with_for_update())).scalar_one_or_none()
    servers = settings.e2b_api_key.get_secret_value() if settings.e2b_api_key else None
    now_used = unit.api.vault.open(before.sealed) if before else servers
    then_used = key or servers
    if then_used == now_used:
        return
    alive = select(col(Sandbox.provider_id)).where(
        col(Sandbox.project_id) == project_id, col(Sandbox.status).in_(_LIVE_STATUSES)
    )
    wanted = set((await session.execute(alive)).scalars())
    if not wanted:
        return
    owner = (await get_installation(session)).id
    left = len(wanted - await _find_sandboxes(unit, then_used, owner))
    if left:
        raise Conflict(f"{left} {_UNREACHABLE_MESSAGE}")


async def _find_sandboxes(unit: UnitOfWork, key: str | None, owner: str) -> set[str | None]:
    """The sandboxes of ours that a key opens; none where it opens nothing."""
    if key is None:
        return set()
    settings = unit.api.settings
    sandboxes = SandboxProvider(
        key, api_url=settings.e2b_api_url, sandbox_url=settings.e2b_sandbox_url, owner=owner
    )
    try:
        async with asyncio.timeout(DEADLINE):
            return {facts.id for facts in await sandboxes.find({})}
    except (GatewayError, TimeoutError):
        return set()
