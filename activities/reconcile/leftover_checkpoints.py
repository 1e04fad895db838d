"""Checkpoints of jobs that are over: their refs are deleted from the remote, and the ledger forgets them.

Those of runs whose workflow was lost are kept for a while, as a restart goes on from them.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from activities.gateway_factory import GatewayFactory
from activities.reconcile.findings import GRACE, PAGE_SIZE, Finding, Inconsistency, is_settled
from activities.sandboxes.checkpoints import delete_checkpoint
from gateways.errors import GatewayError
from kit.database import Database
from kit.errors import RepositoryNotAllowed
from models import Effect
from models.effect import EffectKind, effect_key, is_due_condition
from models.jobs.job_lookup import job_class
from models.runs.checkpoints import is_checkpoint_retained

DELETION_TIMEOUT_SECONDS: Final = 30.0


class LeftoverCheckpoints:
    """What the remote refuses is tried again after a growing pause, and given up within about a day.

    insists: does not wait for the end of a pause.
    """

    kind = Inconsistency.leftover_checkpoint

    def __init__(
        self, database: Database, outside: GatewayFactory, grace: timedelta = GRACE, *, insists: bool = False
    ) -> None:
        self.database, self.outside, self.grace, self.ignores_pauses = database, outside, grace, insists
        self.examined = 0

    async def find(self) -> AsyncIterator[Finding]:
        self.examined, page = 0, await self._page("")
        while page:
            self.examined += len(page)
            async with self.database.read_only() as session:
                jobs = [await session.get(job_class(effect.subject_id), effect.subject_id) for effect in page]
                retained = {
                    job.id for job in jobs if job is not None and await is_checkpoint_retained(session, job)
                }
            for effect, job in zip(page, jobs, strict=True):
                if job is None or (is_settled(job.completed_at, self.grace) and job.id not in retained):
                    yield Finding(
                        kind=self.kind,
                        id=effect.subject_id,
                        since=effect.done_at or effect.intended_at,
                        what="Its job is over, and its checkpoint may still be in the repository.",
                        repair="deletes the hidden ref",
                    )
            page = await self._page(page[-1].key)

    async def repair(self, finding: Finding) -> str | None:
        """Delete the ref; one that is gone already is fine.  Raises what the remote failed of."""
        async with self.database.read_only() as session:
            job = await session.get(job_class(finding.id), finding.id)
            is_retained = await is_checkpoint_retained(session, job)
        if job is None:  # whoever removed its row has removed the ref
            await self._forget(finding.id)
            return "forgotten"
        if not job.is_finished or is_retained:
            return None
        try:
            async with asyncio.timeout(DELETION_TIMEOUT_SECONDS):
                return "deleted" if await delete_checkpoint(self.database, self.outside, job) else None
        except (GatewayError, RepositoryNotAllowed, TimeoutError):
            if await self._put_off(job.id):
                raise
        return "given up: nobody knows whether the ref is still there"

    async def _put_off(self, job_id: str) -> bool:
        """False when it was tried often enough; then the ledger forgets it."""
        async with self.database.transaction() as session:
            effect = await session.get(Effect, _key(job_id), with_for_update=True)
            if effect is None or effect.postpone():
                return True
            await session.delete(effect)
            return False

    async def _forget(self, job_id: str) -> None:
        async with self.database.transaction() as session:
            if (effect := await session.get(Effect, _key(job_id))) is not None:
                await session.delete(effect)

    async def _page(self, after: str) -> list[Effect]:
        statement = (
            select(Effect)
            .where(col(Effect.kind) == EffectKind.checkpoint, col(Effect.key) > after)
            .order_by(col(Effect.key))
            .limit(PAGE_SIZE)
        )
        if not self.ignores_pauses:
            statement = statement.where(is_due_condition())
        async with self.database.read_only() as session:
            return list((await session.execute(statement)).scalars())


def _key(job_id: str) -> str:
    return effect_key(job_id, EffectKind.checkpoint)
