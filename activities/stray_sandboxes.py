"""Sandboxes of ours, running or paused, that no job needs: killed."""

from collections.abc import AsyncIterator
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from activities.damage import GRACE, PAGE, Damage, Finding, is_settled
from activities.outside import Outside
from activities.sandbox_accounts import accounts_of
from activities.sandbox_ends import close_sandbox
from gateways.errors import GatewayError
from gateways.sandboxes import Sandboxes, SandboxFacts
from kit.database import Database
from models import Sandbox
from models.job import Job
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
            for start in range(0, len(listed), PAGE):
                page = listed[start : start + PAGE]
                reasons = await self._reasons(page)
                for facts in page:
                    if facts.id in reasons:
                        self._seen[facts.id] = account.sandboxes, facts
                        yield Finding(
                            damage=self.damage, id=facts.id, since=facts.started_at,
                            what=f"This sandbox is {facts.state}, but {reasons[facts.id]}.", cure="kills it",
                        )  # fmt: skip
        if unseen is not None:
            raise unseen

    async def repair(self, finding: Finding) -> str | None:
        """Kill it and mark its row; one that is gone already is fine."""
        seen = self._seen.get(finding.id)
        if seen is None or not await self._reasons([seen[1]]):
            return None
        sandboxes, facts = seen
        was_there = await sandboxes.kill(facts.id)
        async with self.database.transaction() as session:
            row = await session.get(Sandbox, facts.metadata.get("sandbox", ""))
            if row is not None and row.status not in OVER:
                close_sandbox(session, await job_of(session, row.job_id, lock=True), row)
        return "killed" if was_there else None

    async def _reasons(self, listed: list[SandboxFacts]) -> dict[str, str]:
        """Why nobody needs each; those that somebody may need are left out."""
        async with self.database.reading() as session:
            jobs: dict[str, Job] = {}
            ids = {facts.metadata.get("job", "") for facts in listed}
            for prefix, kind in KINDS.items():
                of_kind = [each for each in ids if each.partition("_")[0] == prefix]
                found = await session.execute(select(kind).where(col(kind.id).in_(of_kind)))
                jobs |= {job.id: job for job in found.scalars()}
            own = [facts.metadata.get("sandbox") for facts in listed]
            rows = await session.execute(select(Sandbox).where(col(Sandbox.id).in_(own)))
            boxes: dict[str, Sandbox] = {row.id: row for row in rows.scalars()}
        reasons: dict[str, str] = {}
        for facts in listed:
            job_id, box_id = facts.metadata.get("job", ""), facts.metadata.get("sandbox", "")
            reason = self._reason(facts, job_id, jobs.get(job_id), boxes.get(box_id))
            if reason is not None:
                reasons[facts.id] = reason
        return reasons

    def _reason(self, facts: SandboxFacts, job_id: str, job: Job | None, box: Sandbox | None) -> str | None:
        if not is_settled(facts.started_at, self.grace):
            return None
        if job is None:
            return f"its job {job_id} is unknown" if job_id else "it names no job"
        if job.is_over:
            return f"its job {job_id} is over" if is_settled(job.completed_at, self.grace) else None
        replaced = box is not None and box.status in OVER and is_settled(box.killed_at, self.grace)
        return f"job {job_id} has another one by now" if replaced else None
