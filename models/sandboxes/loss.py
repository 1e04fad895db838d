"""What is lost with a sandbox, and what the next one begins with."""

from datetime import datetime
from typing import NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import format_timestamp
from models.base import JsonObject, now
from models.effect import Effect, EffectKind, effect_key
from models.sandboxes.sandbox import Sandbox


class Loss(NamedTuple):
    """All that changed in a sandbox after `since`."""

    at: datetime
    """When it was noticed."""
    since: datetime
    checkpoint_at: datetime | None
    """When the checkpoint was taken that the next sandbox begins with; None: it begins with the branch."""

    @property
    def event(self) -> JsonObject:
        """What `sandbox.lost` says of it."""
        origin = "branch" if self.checkpoint_at is None else "checkpoint"
        checkpoint_at = None if self.checkpoint_at is None else format_timestamp(self.checkpoint_at)
        return {
            "lostAt": format_timestamp(self.at),
            "since": format_timestamp(self.since),
            "rebuiltFrom": origin,
            "checkpointAt": checkpoint_at,
        }


async def find_loss(session: AsyncSession, sandbox: Sandbox) -> Loss:
    """What is lost with a sandbox that is, or is about to be, marked as lost.

    What its job saved before this sandbox began was not saved from it: then all that was done in it is lost.
    """
    checkpoint = await session.get(Effect, effect_key(sandbox.job_id, EffectKind.checkpoint))
    saved_at = checkpoint.done_at if checkpoint is not None else None
    began_at = sandbox.started_at or sandbox.created_at
    return Loss(sandbox.killed_at or now(), max(began_at, saved_at or began_at), saved_at)
