"""Sandboxes of ours, running or paused, that no job needs: killed."""

from collections.abc import AsyncIterator
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.damage import GRACE, Damage, Finding, is_settled
from activities.outside import Outside
from activities.sandbox_accounts import accounts_of
from activities.sandboxes import close_sandbox
from gateways.errors import GatewayError
from gateways.sandboxes import Sandboxes, SandboxFacts
from kit.database import Database
from models import Sandbox
from models.jobs import KINDS, job_of
from models.sandbox import SandboxStatus

OVER = (SandboxStatus.killed, SandboxStatus.error)


class StraySandboxes:
    damage = Damage.stray_sandbox

    def __init__(self, database: Database, outside: Outside, grace: timedelta = GRACE) -> None:
        self.database, self.outside, self.grace = database, outside, grace
        self._seen: dict[str, tuple[Sandboxes, SandboxFacts]] = {}

    async def find(self) -> AsyncIterator[Finding]:
        unseen: GatewayError | None = None
        for account in await accounts_of(self.database, self.outside):
            try:
                listed = await account.sandboxes.find({})
            except GatewayError as error:
                unseen = error
                continue
            for facts in listed:
                reason = await self._reason(facts)
                if reason is not None:
                    self._seen[facts.id] = account.sandboxes, facts
                    yield Finding(
                        damage=self.damage, id=facts.id, since=facts.started_at,
                        what=f"This sandbox is {facts.state}, but {reason}.", cure="kills it",
                    )  # fmt: skip
        if unseen is not None:
            raise unseen

    async def repair(self, finding: Finding) -> str | None:
        """Kill it and mark its row; one that is gone already is fine."""
        seen = self._seen.get(finding.id)
        if seen is None or await self._reason(seen[1]) is None:
            return None
        sandboxes, facts = seen
        await sandboxes.kill(facts.id)
        async with self.database.transaction() as session:
            row = await session.get(Sandbox, facts.metadata.get("sandbox", ""))
            if row is not None and row.status not in OVER:
                close_sandbox(session, await job_of(session, row.job_id, lock=True), row)
        return "killed"

    async def _reason(self, facts: SandboxFacts) -> str | None:
        """Why nobody needs it; None: somebody may."""
        if not is_settled(facts.started_at, self.grace):
            return None
        job_id = facts.metadata.get("job", "")
        kind = KINDS.get(job_id.partition("_")[0])
        async with self.database.transaction() as session:
            job = await session.get(kind, job_id) if kind is not None else None
            if job is None:
                return f"its job {job_id} is unknown" if job_id else "it names no job"
            if job.is_over:
                return f"its job {job_id} is over" if is_settled(job.completed_at, self.grace) else None
            return await self._replaced(session, facts, job_id)

    async def _replaced(self, session: AsyncSession, facts: SandboxFacts, job_id: str) -> str | None:
        own = select(Sandbox).where(
            col(Sandbox.id) == facts.metadata.get("sandbox"), col(Sandbox.job_id) == job_id
        )
        row: Sandbox | None = (await session.execute(own)).scalar_one_or_none()
        if row is None or row.status not in OVER or not is_settled(row.killed_at, self.grace):
            return None
        return f"job {job_id} has another one by now"
