"""Sandboxes that are gone at the provider while their rows say that they live: marked as lost."""

from collections.abc import AsyncIterator
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from activities.reconcile.findings import GRACE, PAGE_SIZE, Finding, Inconsistency, is_settled
from activities.reconcile.sandbox_accounts import Account, SandboxAccounts, find_account
from activities.sandboxes.records import close_sandbox, mark_sandbox_lost
from activities.sandboxes.sandbox_jobs import mark_sandbox_job_lost
from kit.database import Database
from models import Sandbox, SandboxJob
from models.jobs.job_lookup import get_job
from models.sandboxes.sandbox import SandboxStatus

LIVE_STATUSES = (SandboxStatus.creating, SandboxStatus.running, SandboxStatus.paused)
GONE_REASON = "The provider has no such sandbox any more."


class MissingSandboxes:
    """A job at work on one gets a new one as soon as it needs it: its workflow sees to that."""

    kind = Inconsistency.missing_sandbox

    def __init__(self, database: Database, accounts: SandboxAccounts, grace: timedelta = GRACE) -> None:
        self.database, self.accounts, self.grace = database, accounts, grace
        self.examined = 0

    async def find(self) -> AsyncIterator[Finding]:
        self.examined = 0
        accounts = await self.accounts.all()
        there = {account.key: {facts.id for facts in account.listed or ()} for account in accounts}
        page = await self._page("")
        while page:
            for row in page:
                account = find_account(accounts, row.project_id)
                if account is None or account.listed is None or not is_settled(row.created_at, self.grace):
                    continue
                self.examined += 1
                if await self._is_missing(row, there[account.key]):
                    yield Finding(
                        kind=self.kind,
                        id=row.id,
                        since=row.started_at or row.created_at,
                        what=f"Its row is {row.status}, but the provider has no such sandbox.",
                        repair="marks it as lost; a job at work gets a new one",
                        is_doubtful=True,
                    )
            page = await self._page(page[-1].id)
        await self.accounts.raise_faults()

    async def repair(self, finding: Finding) -> str | None:
        """Mark its row, unless the provider has it after all; marked twice, it is written once."""
        async with self.database.read_only() as session:
            row = await session.get(Sandbox, finding.id)
        account = await self._account(row) if row is not None else None
        if row is None or account is None or row.status not in LIVE_STATUSES:
            return None
        found = await account.sandboxes.find({"sandbox": row.id})
        if not await self._is_missing(row, {facts.id for facts in found}):
            return None
        async with self.database.transaction() as session:
            job = await get_job(session, row.job_id, lock=True)
            row = await session.get_one(Sandbox, row.id, populate_existing=True)
            if job.is_finished:  # whoever ended it has killed its sandbox, and not written that yet
                marked = close_sandbox(session, job, row)
            else:
                marked = await mark_sandbox_lost(session, job, row, GONE_REASON)
            if isinstance(job, SandboxJob):
                mark_sandbox_job_lost(session, job)
            return "marked as lost" if marked else None

    async def _account(self, row: Sandbox) -> Account | None:
        return find_account(await self.accounts.all(), row.project_id)

    async def _is_missing(self, row: Sandbox, listed: set[str]) -> bool:
        """One that was never created is lost only once its job is over: it may be created any moment."""
        if row.provider_id is not None:
            return row.provider_id not in listed
        async with self.database.read_only() as session:
            job = await get_job(session, row.job_id)
        return job.is_finished and is_settled(job.completed_at, self.grace)

    async def _page(self, after: str) -> list[Sandbox]:
        statement = (
            select(Sandbox)
            .where(col(Sandbox.status).in_(LIVE_STATUSES), col(Sandbox.id) > after)
            .order_by(col(Sandbox.id))
            .limit(PAGE_SIZE)
        )
        async with self.database.read_only() as session:
            return list((await session.execute(statement)).scalars())
