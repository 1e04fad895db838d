"""Budgets: how much the holder of a cap has spent.  A run, a merge, a chain and a project can hold a cap.

What is reserved for calls in flight is not written here: it is the sum of the reservations there are
(`models.budgets.reservation`), so that it cannot drift from them.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Date, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.analytics.usage_rollup import DAY_SECONDS, UsageRollup
from models.base import Dollars, Table, now
from models.jobs.job_lookup import job_class
from models.runs.run import Run

MODEL_SERVICE: Final = "anthropic"
"""The service of usage records that budgets count: what models cost."""


class BudgetScope(StrEnum):
    """What holds a budget."""

    project = "project"
    chain = "chain"
    run = "run"
    job = "job"
    """A merge, an issue session or an answering session."""


_SCOPES: Final = {
    "prj": BudgetScope.project,
    "sc": BudgetScope.chain,
    "wc": BudgetScope.chain,
    "r": BudgetScope.run,
}
"""By the prefix of the holder's id."""


class Budget(Table, table=True):
    """Of one holder; it is made when its holder is given a cap, or with its first model call."""

    id: str = Field(primary_key=True)
    """The id of its holder."""
    project_id: str = Field(foreign_key="project.id", index=True, ondelete="CASCADE")
    cap_usd: Decimal | None = Field(default=None, sa_type=Dollars)
    """What may be spent in all, in a calendar month (UTC) where the holder is a project; None: no limit."""
    spent_usd: Decimal = Field(default=Decimal(0), sa_type=Dollars)
    month: dt.date | None = None
    """The first day of the month that `spent_usd` is of; only a project's budget has one."""
    announced_usd: Decimal | None = Field(default=None, sa_type=Dollars)
    """The value of the cap whose reaching was announced, so that each value is announced once."""

    @property
    def scope(self) -> BudgetScope:
        return _SCOPES.get(self.id.partition("_")[0], BudgetScope.job)

    def start_month(self, today: dt.date) -> None:
        """Begin a new month: nothing is spent in it yet.  Every other budget lasts as long as its holder."""
        month = today.replace(day=1)
        if self.month is not None and self.month < month:
            self.month, self.spent_usd, self.announced_usd = month, Decimal(0), None

    def spend(self, usd: Decimal) -> None:
        """Count what a call has cost in this month."""
        self.start_month(now().date())
        self.spent_usd += usd

    def remaining(self, reserved_usd: Decimal = Decimal(0)) -> Decimal | None:
        """What is left when so much is reserved; None: without limit."""
        return None if self.cap_usd is None else self.cap_usd - self.spent_usd - reserved_usd

    def mark_announced(self) -> bool:
        """Note that the members are told that this cap is reached; False when they were told before."""
        if self.announced_usd == self.cap_usd:
            return False
        self.announced_usd = self.cap_usd
        return True


def budget_ids(
    project_id: str, chain_id: str | None, job_id: str, *, counts_for_quota: bool = False
) -> list[str]:
    """The budgets that pay for the calls of a job, in the order in which they are locked.

    counts_for_quota: the budget of the server's key is one of them.
    """
    shared = quota_budget_id(project_id) if counts_for_quota else None
    return sorted(each for each in (project_id, chain_id, job_id, shared) if each is not None)


def quota_budget_id(project_id: str) -> str:
    """Of the budget that holds what the project has spent with the server's key, for its quota."""
    return f"key_{project_id.removeprefix('prj_')}"


async def lock_budgets(session: AsyncSession, project_id: str, ids: Iterable[str]) -> list[Budget]:
    """The budgets of these holders, held until the commit and turned to this month; made where missing.

    They are locked in the order of their ids, always, so that nobody waits in a circle.  Whoever also locks
    the row of a project, job or chain does so before.
    """
    wanted = sorted(ids)
    held = await _lock(session, wanted)
    if len(held) < len(wanted):
        await _open(session, project_id, wanted)
        held = await _lock(session, wanted)
    for budget in held:
        budget.start_month(now().date())
    return held


async def open_budget(session: AsyncSession, project_id: str, id: str, cap_usd: Decimal | None) -> None:
    """The budget of a new holder; without a cap it is made when it is first needed."""
    if cap_usd is not None:
        session.add(Budget(id=id, project_id=project_id, cap_usd=cap_usd))


async def get_cap(session: AsyncSession, id: str) -> Decimal | None:
    """The cap that a holder has."""
    budget = await session.get(Budget, id)
    return budget.cap_usd if budget else None


async def _lock(session: AsyncSession, ids: Sequence[str]) -> list[Budget]:
    statement = select(Budget).where(col(Budget.id).in_(ids)).order_by(col(Budget.id)).with_for_update()
    return list((await session.execute(statement, execution_options={"populate_existing": True})).scalars())


async def _open(session: AsyncSession, project_id: str, ids: Sequence[str]) -> None:
    """Make the missing ones with what was spent before they were made.

    Nothing is spent meanwhile: a call reserves before it spends, and so has made its budgets.
    """
    month = now().date().replace(day=1)
    for holder_id in ids:
        spent, of_month = spent_sql(holder_id, month)
        row = select(
            literal(holder_id),
            literal(project_id),
            func.coalesce(spent, 0),
            literal(month if of_month else None, Date()),
        )
        into = insert(Budget).from_select(["id", "project_id", "spent_usd", "month"], row)
        await session.execute(into.on_conflict_do_nothing())


def spent_sql(id: str, month: dt.date) -> tuple[ColumnElement[Decimal], bool]:
    """SQL of what a holder has spent by now, and whether that is of a month."""
    match id.partition("_")[0]:
        case "prj":
            begin = dt.datetime(month.year, month.month, month.day, tzinfo=dt.UTC)
            of_month = select(func.sum(UsageRollup.cost_usd)).where(
                col(UsageRollup.project_id) == id,
                col(UsageRollup.span) == DAY_SECONDS,
                col(UsageRollup.since) >= begin,
                col(UsageRollup.service) == MODEL_SERVICE,
            )
            return of_month.scalar_subquery(), True
        case "key":  # counted from the first call that it is to pay for
            return literal(Decimal(0)), True
        case "sc" | "wc":
            return select(func.sum(Run.cost_usd)).where(col(Run.chain_id) == id).scalar_subquery(), False
    kind: Any = job_class(id)
    return select(kind.cost_usd).where(kind.id == id).scalar_subquery(), False
