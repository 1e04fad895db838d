"""What a job that cannot pay for its next model call waits for, for people to see and act on."""

from sqlmodel.ext.asyncio.session import AsyncSession

from models.budgets.money_code import MoneyCode
from models.budgets.reservation import reserved_of
from models.budgets.schemas import ReachedBudget
from models.budgets.wait import is_short, path_of, reached, unpriced, waits_of


async def reached_budgets(session: AsyncSession, job_id: str) -> list[ReachedBudget]:
    """The caps that it waits for, as they are now."""
    return [
        ReachedBudget(
            scope=budget.scope,
            holder_id=budget.id,
            needed_usd=wait.needs_usd,
            cap_usd=budget.cap_usd,
            spent_usd=budget.spent_usd,
            reserved_usd=await reserved_of(session, budget),
            change_with=f"PUT {path_of(budget)}",
        )
        for wait, budget in await waits_of(session, job_id)
    ]


async def shortage(session: AsyncSession, job_id: str) -> tuple[list[str], list[str]]:
    """The sessions of a job that wait for money, and in words what of it still holds them up."""
    waits = await waits_of(session, job_id)
    words = [
        unpriced(budget, wait.model)
        if wait.code is MoneyCode.unpriced
        else reached(budget, await reserved_of(session, budget), wait.needs_usd)
        for wait, budget in waits
        if await is_short(session, wait, budget)
    ]
    return list({wait.session_id: None for wait, _ in waits}), words
