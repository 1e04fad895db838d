"""Reservations and open calls: the money of a model call that is about to be made, or is being answered.

A reservation is what the call may cost at most, set aside before it is made.  It belongs to one turn of an
agent session, so a repeated attempt of the turn takes over its own.  It goes when the answer is recorded, in
the same statement as the price (`models.agent.turn`), and when the call fails.  What a killed attempt leaves
is taken over by the next one or, when its job ends first, removed by the reconciler.

The row of an open call comes when the provider begins to answer, so that it is paid for, and goes in the
transaction that charges the call.  What an attempt leaves that is killed meanwhile is charged by the
reconciler, as far as the provider had said.
"""

import datetime as dt
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, NamedTuple

from pydantic import BaseModel
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Dollars, Json, Table, Timestamp, now
from models.budgets.budget import Budget, BudgetScope, budget_ids, lock_budgets, quota_budget_id
from models.budgets.money_code import BudgetWaitCode
from models.budgets.quota import QuotaUsage
from models.budgets.usage import CostRate

LEASE_DURATION: Final = dt.timedelta(hours=2, minutes=10)
"""Longer than an attempt of a turn may take (`kit.temporal.LONG_RUNNING`): whose lease is over has died."""
MIN_ANSWER_TOKENS: Final = 4_096
"""An answer is never given less room than this because of money: cut answers would only waste the rest."""
_SMALLEST_AMOUNT_USD: Final = Decimal("0.00000001")
"""The smallest amount that a row can hold."""
_MAX_AMOUNT_USD: Final = Decimal(99_999_999)
"""The largest amount that a row can hold: more than any cap."""
_TOKENS_PER_PRICE: Final = Decimal(1_000_000)


class Reservation(Table, table=True):
    """What one call may cost at most."""

    session_id: str = Field(primary_key=True, foreign_key="agent_session.id", ondelete="CASCADE")
    sequence: int = Field(primary_key=True)
    """Of the message that the call is to give."""
    project_id: str = Field(foreign_key="project.id", index=True, ondelete="CASCADE")
    chain_id: str | None = None
    job_id: str
    owner: str
    """The attempt that makes the call; only it may give the reservation up."""
    amount_usd: Decimal = Field(sa_type=Dollars)
    leased_until: dt.datetime = Field(sa_type=Timestamp)


class ModelCall(NamedTuple):
    """A model call that is to be paid for, by one attempt of a turn."""

    session_id: str
    sequence: int
    project_id: str
    chain_id: str | None
    job_id: str
    owner: str
    quota_usd: Decimal | None = None
    """What the project may spend in a month with the server's key; None: no limit, or its own key pays."""

    @property
    def counts_for_quota(self) -> bool:
        """Whether the server's key pays for it while the project has a quota of that, now and when it is
        charged."""
        return self.quota_usd is not None

    @property
    def budget_ids(self) -> list[str]:
        return budget_ids(self.project_id, self.chain_id, self.job_id, counts_for_quota=self.counts_for_quota)


class ReservationGrant(NamedTuple):
    """The call may be made, with an answer of at most so many tokens."""

    max_tokens: int


class ReservationRefusal(BaseModel):
    """The call may not be made."""

    code: BudgetWaitCode
    needs_usd: Decimal
    """What it may cost at the least that makes sense."""
    budgets: list[str]
    """Those that cannot pay for it."""
    model: str


def max_price(rate: CostRate | None, input_tokens: int, output_tokens: int) -> Decimal:
    """What a call costs at most; a model without a price costs nothing that anybody knows of."""
    if rate is None:
        return Decimal(0)
    dearest = max(rate.input, rate.cache_write_5m, rate.cache_write_1h, rate.cache_read)
    usd = (dearest * input_tokens + rate.output * output_tokens) / _TOKENS_PER_PRICE
    return min(usd, _MAX_AMOUNT_USD).quantize(_SMALLEST_AMOUNT_USD, ROUND_CEILING)


async def reserve(
    session: AsyncSession,
    call: ModelCall,
    model: str,
    rate: CostRate | None,
    input_tokens: int,
    max_tokens: int,
) -> ReservationGrant | ReservationRefusal | QuotaUsage:
    """Set aside what the call may cost, in every budget that pays for it, or in none.

    All of them are locked, so of calls that are made at once each sees what the others have set aside.  An
    answer that cannot be paid for at its full length may still be at a shorter one.  What an earlier attempt
    of the same turn has set aside is taken over, not added to.  QuotaUsage: the quota that the call counts
    for is used up.
    """
    budgets = await lock_budgets(session, call.project_id, call.budget_ids)
    reserved = await load_other_reservations(session, call)
    if (use := _quota_usage(call, budgets, reserved)) is not None and use.is_used_up:
        return use
    capped = [budget for budget in budgets if budget.cap_usd is not None]
    if rate is None and capped:
        ids = [budget.id for budget in capped]
        return ReservationRefusal(
            code=BudgetWaitCode.unpriced, needs_usd=Decimal(0), budgets=ids, model=model
        )
    fewest = min(MIN_ANSWER_TOKENS, max_tokens)
    needs = max_price(rate, input_tokens, fewest)
    if code := refusal_code(capped, reserved, needs):
        ids = [budget.id for budget in insufficient_budgets(capped, reserved, needs, code)]
        return ReservationRefusal(code=code, needs_usd=needs, budgets=ids, model=model)
    rooms = [room for budget in capped if (room := budget.remaining(reserved[budget.scope])) is not None]
    tokens = (
        min([max_tokens, *(affordable_tokens(rate, input_tokens, room) for room in rooms)])
        if rate
        else max_tokens
    )
    amount = max_price(rate, input_tokens, tokens)
    row = {
        "session_id": call.session_id,
        "sequence": call.sequence,
        "project_id": call.project_id,
        "chain_id": call.chain_id,
        "job_id": call.job_id,
        "owner": call.owner,
        "amount_usd": amount,
        "leased_until": now() + LEASE_DURATION,
    }
    taken_over = {name: row[name] for name in ("owner", "amount_usd", "leased_until")}
    put = insert(Reservation).values(row)
    await session.execute(
        put.on_conflict_do_update(index_elements=["session_id", "sequence"], set_=taken_over)
    )
    return ReservationGrant(tokens)


def _quota_usage(
    call: ModelCall, budgets: list[Budget], reserved: dict[BudgetScope, Decimal]
) -> QuotaUsage | None:
    """How the project stands with the quota that the call counts for; None where it counts for none.

    All that the project has set aside counts: at any one time, the same key pays for all its calls.
    """
    if call.quota_usd is None:
        return None
    [shared] = [budget for budget in budgets if budget.id == quota_budget_id(call.project_id)]
    assert shared.month is not None, "it is of a month since it was made"
    return QuotaUsage(call.quota_usd, shared.month, shared.spent_usd, reserved[BudgetScope.project])


def affordable_tokens(rate: CostRate | None, input_tokens: int, room: Decimal) -> int:
    """Tokens of an answer that so much pays for, besides the question."""
    if rate is None or not rate.output:
        return 2**31 - 1
    left = room - max_price(rate, input_tokens, 0)
    return max(0, int((left * _TOKENS_PER_PRICE / rate.output).to_integral_value(ROUND_FLOOR)))


def refusal_code(
    capped: list[Budget], reserved: dict[BudgetScope, Decimal], needs: Decimal
) -> BudgetWaitCode | None:
    """Why a call that costs so much cannot be made; None when it can."""
    for code in (BudgetWaitCode.reached, BudgetWaitCode.reserved):
        if insufficient_budgets(capped, reserved, needs, code):
            return code
    return None


def insufficient_budgets(
    capped: list[Budget], reserved: dict[BudgetScope, Decimal], needs: Decimal, code: BudgetWaitCode
) -> list[Budget]:
    """The budgets that cannot pay so much: by their caps alone, or with what is reserved."""
    with_reserved = code is BudgetWaitCode.reserved
    return [
        budget
        for budget in capped
        if (room := budget.remaining(reserved[budget.scope] if with_reserved else Decimal(0))) is not None
        and room < needs
    ]


async def load_other_reservations(session: AsyncSession, call: ModelCall) -> dict[BudgetScope, Decimal]:
    """What other sessions have set aside, by the scope of the budgets that are to pay for this call.

    A session makes one call at a time: what else is set aside for it was left by an attempt that died, and
    must not make the session wait for itself.
    """
    is_own = col(Reservation.session_id) == call.session_id
    amount = col(Reservation.amount_usd)
    statement = select(
        func.coalesce(func.sum(amount), 0),
        func.coalesce(func.sum(amount).filter(col(Reservation.chain_id) == call.chain_id), 0),
        func.coalesce(func.sum(amount).filter(col(Reservation.job_id) == call.job_id), 0),
    ).where(col(Reservation.project_id) == call.project_id, ~is_own)
    project, chain, job = (await session.execute(statement)).one()
    return {
        BudgetScope.project: project,
        BudgetScope.chain: chain,
        BudgetScope.run: job,
        BudgetScope.job: job,
    }


async def release(session: AsyncSession, call: ModelCall) -> None:
    """Give up what an attempt has set aside; not what another attempt of the turn has taken over."""
    await session.execute(
        delete(Reservation).where(
            col(Reservation.session_id) == call.session_id,
            col(Reservation.sequence) == call.sequence,
            col(Reservation.owner) == call.owner,
        )
    )


async def load_reserved(session: AsyncSession, budget: Budget) -> Decimal:
    """What is set aside in one budget just now."""
    owner = {BudgetScope.project: Reservation.project_id, BudgetScope.chain: Reservation.chain_id}
    column = owner.get(budget.scope, Reservation.job_id)
    statement = select(func.coalesce(func.sum(Reservation.amount_usd), 0)).where(
        col(Reservation.project_id) == budget.project_id, col(column) == budget.id
    )
    amount: Decimal = (await session.execute(statement)).scalar_one()
    return amount


class OpenCall(Table, table=True):
    source_id: str = Field(primary_key=True)
    """Of the message that is to hold the answer."""
    session_id: str = Field(foreign_key="agent_session.id", index=True, ondelete="CASCADE")
    project_id: str = Field(foreign_key="project.id", index=True, ondelete="CASCADE")
    job_id: str
    sequence: int
    """Of that message."""
    model: str
    usage: dict[str, int] = Field(sa_type=Json)
    """Tokens so far, in the words of `gateways.anthropic.conversation.Usage`."""
    counts_for_quota: bool
    """Whether the project's quota of the server's key counts it, whenever it is charged."""
    opened_at: dt.datetime = Field(default_factory=now, sa_type=Timestamp)


async def record_open_call(session: AsyncSession, call: OpenCall) -> None:
    """Write it down; once."""
    await session.execute(insert(OpenCall).values(call.model_dump()).on_conflict_do_nothing())
