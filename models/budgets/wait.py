"""Waiting for money: who waits for which budget, how the job shows it, and when it goes on."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Dollars, JsonObject, Table, Timestamp, choice, now
from models.budgets.budget import Budget, Scope, lock_budgets
from models.budgets.money_code import MoneyCode
from models.budgets.reservation import Call, Refusal, refuse, reserved_by_others, reserved_of, short_of
from models.budgets.usage import rate_of
from models.event import EventType, append
from models.jobs.job import Job
from models.jobs.job_lookup import job_of
from models.notifications.notification import NotificationType, notify
from models.runs.run import Run

PATHS = {
    "prj": "/api/v1/project/budget",
    "r": "/api/v1/runs/{id}/budget",
    "sc": "/api/v1/sprint-chains/{id}/budget",
    "wc": "/api/v1/work-chains/{id}/budget",
    "mj": "/api/v1/merging/{id}/budget",
}
"""Where the cap of a holder is changed, by the prefix of its id."""
RESERVED = (
    "What is left of the budget is reserved for model calls that are being answered; it goes on by itself "
    "when they are."
)


class BudgetWait(Table, table=True):
    """An agent session that waits until a budget can pay for its next call."""

    session_id: str = Field(primary_key=True, foreign_key="agent_session.id", ondelete="CASCADE")
    budget_id: str = Field(primary_key=True, index=True)
    job_id: str = Field(index=True)
    code: MoneyCode = Field(sa_type=choice(MoneyCode))
    needs_usd: Decimal = Field(sa_type=Dollars)
    """What its next call may cost at the least that makes sense."""
    model: str
    since: dt.datetime = Field(default_factory=now, sa_type=Timestamp)


class HeldUp(NamedTuple):
    """By what, and by which budgets."""

    code: MoneyCode
    budget_ids: list[str]


async def hold(session: AsyncSession, call: Call, refusal: Refusal) -> HeldUp | None:
    """Have a job wait whose call was refused; None, and it goes on, if it can be paid for by now.

    The budgets are locked, as they are by whoever changes a cap: it either is seen here or finds this wait.
    """
    job = await job_of(session, call.job_id, lock=True)
    budgets = await lock_budgets(session, call.project_id, call.budget_ids)
    await session.execute(delete(BudgetWait).where(col(BudgetWait.session_id) == call.session_id))
    capped = [budget for budget in budgets if budget.cap_usd is not None]
    reserved = await reserved_by_others(session, call)
    code = await _code(session, call.project_id, capped, reserved, refusal)
    if code is None:
        _go_on(session, job)
        return None
    short = capped if code is MoneyCode.unpriced else short_of(capped, reserved, refusal.needs_usd, code)
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
    held_up = HeldUp(code, [budget.id for budget in short])
    if job.is_over:
        return held_up
    if code is MoneyCode.reserved:
        if not _says(job, code):
            _go_on(session, job)
        _wait(session, job, code, RESERVED)
        return held_up
    sentences = [
        unpriced(budget, refusal.model)
        if code is MoneyCode.unpriced
        else reached(budget, reserved[budget.scope], refusal.needs_usd)
        for budget in short
    ]
    _wait(session, job, code, " ".join(sentences))
    if code is MoneyCode.reached:
        for budget, sentence in zip(short, sentences, strict=True):
            if budget.announce():
                await _announce(session, job, budget, reserved[budget.scope], sentence)
    return held_up


async def let_go(session: AsyncSession, session_id: str, job_id: str, *, goes_on: bool) -> None:
    """The session waits for money no longer: its job goes on, or is about to end."""
    job = await job_of(session, job_id, lock=True)
    await session.execute(delete(BudgetWait).where(col(BudgetWait.session_id) == session_id))
    if goes_on:
        _go_on(session, job)


async def change_cap(
    session: AsyncSession, project_id: str, id: str, cap_usd: Decimal | None
) -> tuple[Budget, list[str]]:
    """Give a holder another cap, or none; the budget, and the sessions that wait for it."""
    [budget] = await lock_budgets(session, project_id, [id])
    budget.cap_usd = cap_usd
    waiting = select(col(BudgetWait.session_id)).where(col(BudgetWait.budget_id) == id)
    return budget, list((await session.execute(waiting)).scalars())


async def wait_for_prices(session: AsyncSession, project_id: str) -> list[str]:
    """The sessions of a project that wait because a model has no price."""
    statement = (
        select(col(BudgetWait.session_id))
        .join(Budget, col(Budget.id) == col(BudgetWait.budget_id))
        .where(col(Budget.project_id) == project_id, col(BudgetWait.code) == MoneyCode.unpriced)
    )
    return sorted(set((await session.execute(statement)).scalars()))


async def waits_of(session: AsyncSession, job_id: str) -> list[tuple[BudgetWait, Budget]]:
    """What a job waits for, with the budgets as they are now."""
    statement = (
        select(BudgetWait, Budget)
        .where(col(BudgetWait.job_id) == job_id, col(Budget.id) == col(BudgetWait.budget_id))
        .order_by(col(BudgetWait.session_id), col(Budget.id))
    )
    found = [(wait, budget) for wait, budget in (await session.execute(statement)).all()]
    for _, budget in found:
        session.expunge(budget)  # only looked at: what a new month changes is not written here
        budget.turn_month(now().date())
    return found


async def is_short(session: AsyncSession, wait: BudgetWait, budget: Budget) -> bool:
    """Whether what the session waits for still holds it up."""
    if budget.cap_usd is None:
        return False
    if wait.code is MoneyCode.unpriced:
        return await rate_of(session, wait.model, budget.project_id) is None
    left = budget.room(await reserved_of(session, budget))
    return left is not None and left < wait.needs_usd


def reached(budget: Budget, reserved_usd: Decimal, needs_usd: Decimal) -> str:
    """What is said of a cap that a call would exceed: which one, how it stands, and what to do."""
    assert budget.cap_usd is not None
    amounts = (
        f"{budget.spent_usd:.4f} of {budget.cap_usd:.4f} USD are spent and {reserved_usd:.4f} reserved; the "
        f"next model call may cost up to {needs_usd:.4f}."
    )
    if budget.scope is Scope.project:
        month = f"{budget.month:%B %Y}"
        return f"The project's budget for {month} is reached: {amounts} {how_to_raise(budget)}"
    return f"The {_noun(budget)}'s budget is reached: {amounts} {how_to_raise(budget)}"


def unpriced(budget: Budget, model: str) -> str:
    return (
        f"The model {model} has no price, so nobody can tell whether the {_noun(budget)}'s budget pays for "
        "it: set one with POST /api/v1/cost-rates/upsert, or remove the cap with "
        f"PUT {path_of(budget)} and maxCostUsd null."
    )


def how_to_raise(budget: Budget) -> str:
    raising = f"Raise it with PUT {path_of(budget)} {{maxCostUsd}}"
    return f"{raising}, or wait for the next month (UTC)." if budget.month else f"{raising}."


def path_of(budget: Budget) -> str:
    prefix = budget.id.partition("_")[0]
    return PATHS.get(prefix, PATHS["prj"]).format(id=budget.id)


def _noun(budget: Budget) -> str:
    return "merge" if budget.id.startswith("mj_") else budget.scope.value


async def _code(
    session: AsyncSession,
    project_id: str,
    capped: list[Budget],
    reserved: dict[Scope, Decimal],
    refusal: Refusal,
) -> MoneyCode | None:
    if refusal.code is MoneyCode.unpriced:
        return refusal.code if capped and await rate_of(session, refusal.model, project_id) is None else None
    return refuse(capped, reserved, refusal.needs_usd)


def _wait(session: AsyncSession, job: Job, code: MoneyCode, message: str) -> None:
    """Show what holds the job up; a run is paused unless it goes on by itself in a moment.

    While it waits for the same thing the amounts may change: they are kept true without another event.
    """
    reason: JsonObject = {"code": code.value, "message": message}
    is_told = _says(job, code)
    if isinstance(job, Run) and code is not MoneyCode.reserved:
        if job.pause_for_money(reason) and not is_told:
            append(session, job, EventType.run_paused, reason)
    elif job.wait(reason) and not is_told:
        append(session, job, job.WAITING, reason)


def _says(job: Job, code: MoneyCode) -> bool:
    return job.waiting is not None and job.waiting.get("code") == code.value


def _go_on(session: AsyncSession, job: Job) -> None:
    if not job.waits_for_money:
        return
    job.waiting = None
    if isinstance(job, Run) and job.resume_with_money():
        append(session, job, EventType.run_resumed)


async def _announce(
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
    event = append(session, job, EventType.budget_reached, data)
    await session.flush()
    subject: JsonObject = {
        "runId" if isinstance(job, Run) else "jobId": job.id,
        "budgetId": budget.id,
        "capUsd": data["capUsd"],
    }
    title = f"The {_noun(budget)}'s budget of {budget.cap_usd:.2f} USD is reached"
    await notify(session, event, NotificationType.budget_exceeded, title, sentence, subject)
