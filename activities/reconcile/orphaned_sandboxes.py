"""Sandboxes of ours, running or paused, that no job needs: killed."""

from collections.abc import AsyncIterator
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from activities.reconcile.findings import GRACE, PAGE_SIZE, Finding, Inconsistency, is_settled
from activities.reconcile.sandbox_accounts import SandboxAccounts
from activities.sandboxes.records import close_sandbox
from gateways.sandboxes.control import SandboxFacts, SandboxProvider
from kit.database import Database
from models import Sandbox
from models.jobs.job import Job
from models.jobs.job_lookup import JOB_TABLES, get_job
from models.sandboxes.sandbox import SandboxStatus

FINISHED_STATUSES = (SandboxStatus.killed, SandboxStatus.error)


class OrphanedSandboxes:
    kind = Inconsistency.orphaned_sandbox

    def __init__(self, database: Database, accounts: SandboxAccounts, grace: timedelta = GRACE) -> None:
        self.database, self.accounts, self.grace = database, accounts, grace
        self.examined = 0
        self._found: dict[str, tuple[SandboxProvider, SandboxFacts]] = {}

    async def find(self) -> AsyncIterator[Finding]:
        self.examined = 0
        for account in await self.accounts.all():
            listed = account.listed or []
            self.examined += len(listed)
            for start in range(0, len(listed), PAGE_SIZE):
                page = listed[start : start + PAGE_SIZE]
                reasons = await self._reasons(page)
                for facts in page:
                    if facts.id in reasons:
                        self._found[facts.id] = account.sandboxes, facts
                        yield Finding(
                            kind=self.kind,
                            id=facts.id,
                            since=facts.started_at,
                            what=f"This sandbox is {facts.state}, but {reasons[facts.id]}.",
                            repair="kills it",
                            is_doubtful="is unknown" in reasons[facts.id],
                        )
        await self.accounts.raise_faults()

    async def repair(self, finding: Finding) -> str | None:
        """Kill it and mark its row; one that is gone already is fine."""
        seen = self._found.get(finding.id)
        if seen is None or not await self._reasons([seen[1]]):
            return None
        sandboxes, facts = seen
        was_there = await sandboxes.kill(facts.id)
        box_id, job_id = facts.metadata.get("sandbox", ""), facts.metadata.get("job", "")
        async with self.database.transaction() as session:
            if await session.get(Sandbox, box_id) is not None:
                job = await get_job(session, job_id, lock=True)  # before its sandbox is read, as everywhere
                row = await session.get_one(Sandbox, box_id, populate_existing=True)
                if row.status not in FINISHED_STATUSES:
                    close_sandbox(session, job, row)
        return "killed" if was_there else None

    async def _reasons(self, listed: list[SandboxFacts]) -> dict[str, str]:
        """Why nobody needs each; those that somebody may need are left out."""
        async with self.database.read_only() as session:
            jobs: dict[str, Job] = {}
            ids = {facts.metadata.get("job", "") for facts in listed}
            for prefix, table in JOB_TABLES.items():
                of_kind = [each for each in ids if each.partition("_")[0] == prefix]
                found = await session.execute(select(table).where(col(table.id).in_(of_kind)))
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
        if job.is_finished:
            return f"its job {job_id} is over" if is_settled(job.completed_at, self.grace) else None
        if box is not None and box.deleted_at is not None:
            return "its row is in the trash" if is_settled(box.deleted_at, self.grace) else None
        replaced = (
            box is not None and box.status in FINISHED_STATUSES and is_settled(box.killed_at, self.grace)
        )
        return f"job {job_id} does not use it any more" if replaced else None
