"""Budgets on the wire."""

from decimal import Decimal
from typing import Final

from pydantic.config import JsonDict
from sqlalchemy import select
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Body, CapUsd, UsdAmount, Wire
from models.base import now
from models.budgets.budget import Budget, BudgetScope, spent_sql
from models.budgets.reservation import load_reserved
from models.json_view import example, json_object_sql

BUDGET: Final[JsonDict] = {"capUsd": 10.0, "spentUsd": 0.42, "reservedUsd": 0.06}


class BudgetRead(Wire):
    """How a cap stands."""

    model_config = example(**BUDGET)
    cap_usd: UsdAmount | None
    """What may be spent on models in all, in US dollars; a project's is for a calendar month (UTC). Null: no
    limit."""
    spent_usd: UsdAmount
    """What was spent on models."""
    reserved_usd: UsdAmount
    """What is set aside for model calls that are being answered: what they may cost at most."""


class BudgetChange(Body):
    """A new cap, or none."""

    model_config = example(maxCostUsd=20)
    max_cost_usd: CapUsd | None
    """What may be spent in all, in US dollars; null removes the limit.

    One below what is spent is allowed: the next model call waits.
    """


class ReachedBudget(BudgetRead):
    """A cap that a job waits for."""

    model_config = example(
        scope="project",
        holderId="prj_0198f2c3a1b27c3d8e4f5a6b7c8d9e0f",
        changeWith="PUT /api/v1/project/budget",
        neededUsd=0.08,
        **BUDGET,
    )
    scope: BudgetScope
    """Whose cap it is."""
    holder_id: str
    """The id of the project, chain, run or merge that has the cap."""
    needed_usd: UsdAmount
    """What the next model call may cost, at the least that makes sense."""
    change_with: str
    """The operation that raises or removes the cap."""


def budget_sql(table: str, spent: str | None = None) -> str:
    """SQL of a row's budget for its view; spent: SQL of what it has spent, where its own row says so."""
    own = f"(SELECT {{}} FROM budget WHERE budget.id = {table}.id)"  # noqa: S608
    runs = f"(SELECT sum(cost_usd) FROM run WHERE run.chain_id = {table}.id)"  # noqa: S608
    column = "job_id" if spent else "chain_id"
    reserved = (
        f"(SELECT sum(amount_usd) FROM reservation WHERE reservation.project_id = {table}.project_id"  # noqa: S608
        f" AND reservation.{column} = {table}.id)"
    )
    return json_object_sql(
        capUsd=f"{own.format('cap_usd')}::float8",
        spentUsd=f"coalesce({spent or own.format('spent_usd')}, {'0' if spent else runs}, 0)::float8",
        reservedUsd=f"coalesce({reserved}, 0)::float8",
    )


async def read_budget(session: AsyncSession, project_id: str, holder_id: str) -> BudgetRead:
    """A holder's budget as it is now; nothing is written."""
    month = now().date().replace(day=1)
    budget = await session.get(Budget, holder_id, populate_existing=True)
    if budget is None:
        spent, _ = spent_sql(holder_id, month)
        amount = (await session.execute(select(spent))).scalar_one_or_none()
        budget = Budget(id=holder_id, project_id=project_id, spent_usd=amount or Decimal(0))
        reserved = await load_reserved(session, budget)
        return BudgetRead(cap_usd=None, spent_usd=budget.spent_usd, reserved_usd=reserved)
    is_over = budget.month is not None and budget.month < month
    return BudgetRead(
        cap_usd=budget.cap_usd,
        spent_usd=budget.spent_usd if not is_over else budget.spent_usd * 0,
        reserved_usd=await load_reserved(session, budget),
    )
