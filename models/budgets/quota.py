"""Quotas: how much of the server's own keys a project may use.  The operator sets them, nobody else.

What is spent with the server's key in a month stands in a budget of its own, at the installation's prices:
those that a project sets for itself do not count for a key that is not its own.
"""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Dollars, Table, Timestamp, enum_column, now
from models.budgets.budget import Budget, quota_budget_id
from models.projects.project import Project
from models.sandboxes.sandbox import LIVE_STATUSES, Sandbox


class Quota(NamedTuple):
    """None: no limit."""

    model_usd: Decimal | None
    """What models may cost in a calendar month (UTC) with the server's key."""
    sandboxes: int | None
    """How many jobs may have a sandbox at work with the server's key.

    One is at work until it is removed, also while it is paused, as it is resumed without asking.
    """


UNLIMITED: Final = Quota(None, None)


class QuotaInput(BaseModel):
    """What an operator types, in numbers."""

    model_usd: Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=8)] = Decimal(0)
    """What models may cost in a month, in US dollars."""
    sandboxes: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many jobs may have a sandbox at work."""


class QuotaKind(StrEnum):
    """Of which of the server's keys: `model_usd`, `sandboxes`."""

    model_usd = "model_usd"
    sandboxes = "sandboxes"


class ProjectQuota(Table, table=True):
    """What an operator has set for a project, instead of the settings; written by operators only."""

    project_id: str = Field(primary_key=True, foreign_key="project.id", ondelete="CASCADE")
    kind: QuotaKind = Field(primary_key=True, sa_type=enum_column(QuotaKind))
    most: Decimal | None = Field(default=None, sa_type=Dollars)
    """None: no limit."""
    updated_at: dt.datetime = Field(default_factory=now, sa_type=Timestamp)


async def load_operator_quotas(session: AsyncSession, project_id: str) -> dict[QuotaKind, Decimal | None]:
    """What an operator has set for the project."""
    rows = await session.execute(select(ProjectQuota).where(col(ProjectQuota.project_id) == project_id))
    return {row.kind: row.most for row in rows.scalars()}


async def load_quota(session: AsyncSession, project_id: str, default: Quota) -> Quota:
    """The project's quota: each limit its own, or the default's where the operator has set none."""
    own = await load_operator_quotas(session, project_id)
    sandboxes = own.get(QuotaKind.sandboxes)
    return Quota(
        own.get(QuotaKind.model_usd, default.model_usd),
        default.sandboxes
        if QuotaKind.sandboxes not in own
        else None
        if sandboxes is None
        else int(sandboxes),
    )


async def set_quota(session: AsyncSession, project: Project, kind: QuotaKind, most: Decimal | None) -> None:
    """Limit the project; None: no limit, whatever the settings say."""
    await session.merge(ProjectQuota(project_id=project.id, kind=kind, most=most))
    await session.flush()


async def reset_quota(session: AsyncSession, project: Project, kind: QuotaKind) -> None:
    """Have the settings limit the project again."""
    own = await session.get(ProjectQuota, (project.id, kind))
    if own is not None:
        await session.delete(own)
        await session.flush()


class QuotaUsage(NamedTuple):
    """How a project stands with its quota of the server's model key in a month."""

    limit_usd: Decimal
    month: dt.date
    """Its first day."""
    spent_usd: Decimal
    reserved_usd: Decimal
    """What is set aside for calls that are being answered."""

    @property
    def is_used_up(self) -> bool:
        """Whether no call is made: one is while anything is left, so that the last one may exceed it."""
        return self.spent_usd + self.reserved_usd >= self.limit_usd


async def load_quota_spending(session: AsyncSession, project_id: str) -> Decimal:
    """What the project has spent with the server's key in this month; nothing is written."""
    budget = await session.get(Budget, quota_budget_id(project_id))
    if budget is None or budget.month is None or budget.month < now().date().replace(day=1):
        return Decimal(0)
    return budget.spent_usd


async def count_jobs_ahead(session: AsyncSession, sandbox: Sandbox) -> int:
    """How many other jobs of the project have a sandbox at work that was asked for before this one.

    0 where the job has another one at work already: jobs that need two would else wait for each other.
    """
    others = (
        col(Sandbox.project_id) == sandbox.project_id,
        col(Sandbox.status).in_(LIVE_STATUSES),
        col(Sandbox.id) != sandbox.id,
    )
    own = select(col(Sandbox.id)).where(*others, col(Sandbox.job_id) == sandbox.job_id)
    if (await session.execute(own.limit(1))).first() is not None:
        return 0
    before = select(func.count(col(Sandbox.job_id).distinct())).where(*others, col(Sandbox.id) < sandbox.id)
    return int((await session.execute(before)).scalar_one())


async def count_busy_jobs(session: AsyncSession, project_id: str) -> int:
    """How many jobs of the project have a sandbox at work."""
    statement = select(func.count(col(Sandbox.job_id).distinct())).where(
        col(Sandbox.project_id) == project_id, col(Sandbox.status).in_(LIVE_STATUSES)
    )
    return int((await session.execute(statement)).scalar_one())
