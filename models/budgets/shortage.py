"""What a job that cannot pay for its next model call waits for, for people to see and act on."""

from sqlmodel.ext.asyncio.session import AsyncSession

from models.budgets.money_code import BudgetWaitCode
from models.budgets.reservation import load_reserved
from models.budgets.schemas import ReachedBudget
from models.budgets.wait import (
    cap_path,
    cap_reached_message,
    is_insufficient,
    load_waits,
    missing_price_message,
)


async def load_reached_budgets(session: AsyncSession, job_id: str) -> list[ReachedBudget]:
    """The caps that it waits for, as they are now."""
    return [
        ReachedBudget(
            scope=budget.scope,
            holder_id=budget.id,
            needed_usd=wait.needs_usd,
            cap_usd=budget.cap_usd,
            spent_usd=budget.spent_usd,
            reserved_usd=await load_reserved(session, budget),
            change_with=f"PUT {cap_path(budget)}",
        )
        for wait, budget in await load_waits(session, job_id)
    ]


async def load_shortage(session: AsyncSession, job_id: str) -> tuple[list[str], list[str]]:
    """The sessions of a job that wait for money, and in words what of it still holds them up."""
    waits = await load_waits(session, job_id)
    words = [
        missing_price_message(budget, wait.model)
        if wait.code is BudgetWaitCode.unpriced
        else cap_reached_message(budget, await load_reserved(session, budget), wait.needs_usd)
        for wait, budget in waits
        if await is_insufficient(session, wait, budget)
    ]
    return list({wait.session_id: None for wait, _ in waits}), words
