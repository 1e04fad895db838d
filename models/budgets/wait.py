"""Waits for money: who waits for which budget, how the job shows it, and when it goes on."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Dollars, JsonObject, Table, Timestamp, enum_column, now
from models.budgets.budget import Budget, BudgetScope, lock_budgets
from models.budgets.money_code import BudgetWaitCode
from models.budgets.reservation import (
    ModelCall,
    ReservationRefusal,
    insufficient_budgets,
    load_other_reservations,
    load_reserved,
    refusal_code,
)
from models.budgets.schemas import ReachedBudget
from models.budgets.usage import find_cost_rate
from models.event import EventType, append_event
from models.jobs.job import Job
from models.jobs.job_lookup import get_job
from models.notifications.notification import NotificationType, notify_members
from models.runs.run import Run

CAP_PATHS = {
    "prj": "/api/v1/project/budget",
    "r": "/api/v1/runs/{id}/budget",
    "sc": "/api/v1/sprint-chains/{id}/budget",
    "wc": "/api/v1/work-chains/{id}/budget",
    "mj": "/api/v1/merging/{id}/budget",
}
"""Where the cap of a holder is changed, by the prefix of its id."""
RESERVED_MESSAGE = (
    "What is left of the budget is reserved for model calls that are being answered; it goes on by itself "
    "when they are."
)


class BudgetWait(Table, table=True):
    """An agent session that waits until a budget can pay for its next call."""

    session_id: str = Field(primary_key=True, foreign_key="agent_session.id", ondelete="CASCADE")
    budget_id: str = Field(primary_key=True, index=True)
    job_id: str = Field(index=True)
    code: BudgetWaitCode = Field(sa_type=enum_column(BudgetWaitCode))
    needs_usd: Decimal = Field(sa_type=Dollars)
    """What its next call may cost at the least that makes sense."""
    model: str
    since: dt.datetime = Field(default_factory=now, sa_type=Timestamp)


class BudgetBlock(NamedTuple):
    """By what, and by which budgets."""

    code: BudgetWaitCode
    budget_ids: list[str]


async def wait_for_budget(
    session: AsyncSession, call: ModelCall, refusal: ReservationRefusal
) -> BudgetBlock | None:
    """Have a job wait whose call was refused; None, and it goes on, if it can be paid for by now.

    The budgets are locked, as they are by whoever changes a cap: it either is seen here or finds this wait.
    """
    job = await get_job(session, call.job_id, lock=True)
    budgets = await lock_budgets(session, call.project_id, call.budget_ids)
    await session.execute(delete(BudgetWait).where(col(BudgetWait.session_id) == call.session_id))
    capped = [budget for budget in budgets if budget.cap_usd is not None]
    reserved = await load_other_reservations(session, call)
    code = await _blocking_code(session, call.project_id, capped, reserved, refusal)
    if code is None:
        _resume_job(session, job)
        return None
    short = (
        capped
        if code is BudgetWaitCode.unpriced
        else insufficient_budgets(capped, reserved, refusal.needs_usd, code)
    )
    for budget in short:
        session.add(
            BudgetWait(
                session_id=call.session_id,
                budget_id=budget.id,
                job_id=job.id,
                code=code,
                needs_usd=refusal.needs_usd,
                model=refusal.model,
            )
        )
    held_up = BudgetBlock(code, [budget.id for budget in short])
    if job.is_finished:
        return held_up
    if code is BudgetWaitCode.reserved:
        if not _shows_code(job, code):
            _resume_job(session, job)
        _show_wait(session, job, code, RESERVED_MESSAGE)
        return held_up
    sentences = [
        missing_price_message(budget, refusal.model)
        if code is BudgetWaitCode.unpriced
        else cap_reached_message(budget, reserved[budget.scope], refusal.needs_usd)
        for budget in short
    ]
    _show_wait(session, job, code, " ".join(sentences))
    if code is BudgetWaitCode.reached:
        for budget, sentence in zip(short, sentences, strict=True):
            if budget.mark_announced():
                await _notify_cap_reached(session, job, budget, reserved[budget.scope], sentence)
    return held_up


async def end_wait(session: AsyncSession, session_id: str, job_id: str, *, goes_on: bool) -> None:
    """The session waits for money no longer: its job goes on, or is about to end."""
    job = await get_job(session, job_id, lock=True)
    await session.execute(delete(BudgetWait).where(col(BudgetWait.session_id) == session_id))
    if goes_on:
        _resume_job(session, job)


async def change_cap(
    session: AsyncSession, project_id: str, id: str, cap_usd: Decimal | None
) -> tuple[Budget, list[str]]:
    """Give a holder another cap, or none; the budget, and the sessions that wait for it."""
    [budget] = await lock_budgets(session, project_id, [id])
    budget.cap_usd = cap_usd
    waiting = select(col(BudgetWait.session_id)).where(col(BudgetWait.budget_id) == id)
    return budget, list((await session.execute(waiting)).scalars())


async def find_sessions_without_price(session: AsyncSession, project_id: str) -> list[str]:
    """The sessions of a project that wait because a model has no price."""
    statement = (
        select(col(BudgetWait.session_id))
        .join(Budget, col(Budget.id) == col(BudgetWait.budget_id))
        .where(col(Budget.project_id) == project_id, col(BudgetWait.code) == BudgetWaitCode.unpriced)
    )
    return sorted(set((await session.execute(statement)).scalars()))


async def load_waits(session: AsyncSession, job_id: str) -> list[tuple[BudgetWait, Budget]]:
    """What a job waits for, with the budgets as they are now."""
    statement = (
        select(BudgetWait, Budget)
        .where(col(BudgetWait.job_id) == job_id, col(Budget.id) == col(BudgetWait.budget_id))
        .order_by(col(BudgetWait.session_id), col(Budget.id))
    )
    found = [(wait, budget) for wait, budget in (await session.execute(statement)).all()]
    for _, budget in found:
        session.expunge(budget)  # only looked at: what a new month changes is not written here
        budget.start_month(now().date())
    return found


async def is_insufficient(session: AsyncSession, wait: BudgetWait, budget: Budget) -> bool:
    """Whether what the session waits for still holds it up."""
    if budget.cap_usd is None:
        return False
    if wait.code is BudgetWaitCode.unpriced:
        return await find_cost_rate(session, wait.model, budget.project_id) is None
    left = budget.remaining(await load_reserved(session, budget))
    return left is not None and left < wait.needs_usd


def cap_reached_message(budget: Budget, reserved_usd: Decimal, needs_usd: Decimal) -> str:
    """What is said of a cap that a call would exceed: which one, how it stands, and what to do."""
    assert budget.cap_usd is not None
    amounts = (
        f"{budget.spent_usd:.4f} of {budget.cap_usd:.4f} USD are spent and {reserved_usd:.4f} reserved; the "
        f"next model call may cost up to {needs_usd:.4f}."
    )
    if budget.scope is BudgetScope.project:
        month = f"{budget.month:%B %Y}"
        return f"The project's budget for {month} is reached: {amounts} {raise_cap_hint(budget)}"
    return f"The {_holder_noun(budget)}'s budget is reached: {amounts} {raise_cap_hint(budget)}"


def missing_price_message(budget: Budget, model: str) -> str:
    return (
        f"The model {model} has no price, so nobody can tell whether the {_holder_noun(budget)}'s budget "
        "pays for it: set one with POST /api/v1/cost-rates/upsert, or remove the cap with "
        f"PUT {cap_path(budget)} and maxCostUsd null."
    )


def raise_cap_hint(budget: Budget) -> str:
    raising = f"Raise it with PUT {cap_path(budget)} {{maxCostUsd}}"
    return f"{raising}, or wait for the next month (UTC)." if budget.month else f"{raising}."


def cap_path(budget: Budget) -> str:
    prefix = budget.id.partition("_")[0]
    return CAP_PATHS.get(prefix, CAP_PATHS["prj"]).format(id=budget.id)


def _holder_noun(budget: Budget) -> str:
    return "merge" if budget.id.startswith("mj_") else budget.scope.value


async def _blocking_code(
    session: AsyncSession,
    project_id: str,
    capped: list[Budget],
    reserved: dict[BudgetScope, Decimal],
    refusal: ReservationRefusal,
) -> BudgetWaitCode | None:
    if refusal.code is BudgetWaitCode.unpriced:
        return (
            refusal.code
            if capped and await find_cost_rate(session, refusal.model, project_id) is None
            else None
        )
    return refusal_code(capped, reserved, refusal.needs_usd)


def _show_wait(session: AsyncSession, job: Job, code: BudgetWaitCode, message: str) -> None:
    """Show what holds the job up; a run is paused unless it goes on by itself in a moment.

    While it waits for the same thing the amounts may change: they are kept true without another event.
    """
    reason: JsonObject = {"code": code.value, "message": message}
    is_told = _shows_code(job, code)
    if isinstance(job, Run) and code is not BudgetWaitCode.reserved:
        if job.pause_for_budget(reason) and not is_told:
            append_event(session, job, EventType.run_paused, reason)
    elif job.set_waiting(reason) and not is_told:
        append_event(session, job, job.WAITING_EVENT, reason)


def _shows_code(job: Job, code: BudgetWaitCode) -> bool:
    return job.waiting is not None and job.waiting.get("code") == code.value


def _resume_job(session: AsyncSession, job: Job) -> None:
    if not job.is_waiting_for_budget:
        return
    job.waiting = None
    if isinstance(job, Run) and job.resume_from_budget():
        append_event(session, job, EventType.run_resumed)


async def _notify_cap_reached(
    session: AsyncSession, job: Job, budget: Budget, reserved_usd: Decimal, sentence: str
) -> None:
    """One event and one notification a member, for this value of the cap."""
    assert budget.cap_usd is not None
    data: JsonObject = {
        "budget": budget.scope.value,
        "budgetId": budget.id,
        "capUsd": float(budget.cap_usd),
        "spentUsd": float(budget.spent_usd),
        "reservedUsd": float(reserved_usd),
        "message": sentence,
    }
    event = append_event(session, job, EventType.budget_reached, data)
    await session.flush()
    subject: JsonObject = {
        "runId" if isinstance(job, Run) else "jobId": job.id,
        "budgetId": budget.id,
        "capUsd": data["capUsd"],
    }
    title = f"The {_holder_noun(budget)}'s budget of {budget.cap_usd:.2f} USD is reached"
    await notify_members(session, event, NotificationType.budget_exceeded, title, sentence, subject)


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
