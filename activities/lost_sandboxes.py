"""Sandboxes that are gone at the provider while their rows say that they live: marked as lost."""

from collections.abc import AsyncIterator
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from activities.damage import GRACE, PAGE, Damage, Finding, is_settled
from activities.outside import Outside
from activities.sandbox_accounts import Account, account_of, accounts_of
from activities.sandbox_ends import close_sandbox
from gateways.errors import GatewayError
from kit.database import Database
from models import Sandbox
from models.jobs import job_of
from models.sandbox import SandboxStatus

LIVE = (SandboxStatus.creating, SandboxStatus.running, SandboxStatus.paused)
GONE = "The provider has no such sandbox any more."


class LostSandboxes:
    """A job at work on one gets a new one as soon as it needs it: its workflow sees to that."""

    damage = Damage.lost_sandbox

    def __init__(self, database: Database, outside: Outside, grace: timedelta = GRACE) -> None:
        self.database, self.outside, self.grace = database, outside, grace

    async def find(self) -> AsyncIterator[Finding]:
        accounts = await accounts_of(self.database, self.outside)
        page, unseen = await self._page(""), None
        there: dict[int, set[str] | None] = {}
        while page:
            for row in page:
                account = account_of(accounts, row.project_id)
                if account is None or not is_settled(row.created_at, self.grace):
                    continue
                if id(account) not in there:
                    try:
                        there[id(account)] = {facts.id for facts in await account.sandboxes.find({})}
                    except GatewayError as error:
                        there[id(account)], unseen = None, error
                listed = there[id(account)]
                if listed is not None and await self._is_lost(row, listed):
                    yield Finding(
                        damage=self.damage, id=row.id, since=row.started_at or row.created_at,
                        what=f"Its row is {row.status}, but the provider has no such sandbox.",
                        cure="marks it as lost; a job at work gets a new one",
                    )  # fmt: skip
            page = await self._page(page[-1].id)
        if unseen is not None:
            raise unseen

    async def repair(self, finding: Finding) -> str | None:
        """Mark its row, unless the provider has it after all; marked twice, it is written once."""
        async with self.database.reading() as session:
            row = await session.get(Sandbox, finding.id)
        account = await self._account(row) if row is not None else None
        if row is None or account is None or row.status not in LIVE:
            return None
        found = await account.sandboxes.find({"sandbox": row.id})
        if not await self._is_lost(row, {facts.id for facts in found}):
            return None
        async with self.database.transaction() as session:
            job = await job_of(session, row.job_id, lock=True)
            row = await session.get_one(Sandbox, row.id)
            return "marked as lost" if close_sandbox(session, job, row, SandboxStatus.error, GONE) else None

    async def _account(self, row: Sandbox) -> Account | None:
        return account_of(await accounts_of(self.database, self.outside), row.project_id)

    async def _is_lost(self, row: Sandbox, listed: set[str]) -> bool:
        """One that was never created is lost only once its job is over: it may be created any moment."""
        if row.provider_id is not None:
            return row.provider_id not in listed
        async with self.database.reading() as session:
            job = await job_of(session, row.job_id)
        return job.is_over and is_settled(job.completed_at, self.grace)

    async def _page(self, after: str) -> list[Sandbox]:
        statement = (
            select(Sandbox)
            .where(col(Sandbox.status).in_(LIVE), col(Sandbox.id) > after)
            .order_by(col(Sandbox.id))
            .limit(PAGE)
        )
        async with self.database.reading() as session:
            return list((await session.execute(statement)).scalars())
