"""What was used and what it cost, one record a unit, written with the effect that used it."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Index, select
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import is_id, prefixed
from models.base import Dollars, Record, Table, Timestamp, choice, now


class UsageUnit(StrEnum):
    input_tokens = "input_tokens"
    output_tokens = "output_tokens"
    cache_read_tokens = "cache_read_tokens"
    cache_write_tokens = "cache_write_tokens"
    sandbox_seconds = "sandbox_seconds"
    api_calls = "api_calls"


class UsageRecord(Record, table=True):
    __table_args__ = (
        Index("usage_source", "source_id", "unit", unique=True),
        Index("usage_by_day", "project_id", "date"),
    )
    id: str = Field(default_factory=prefixed("use"), primary_key=True)
    service: str
    date: dt.date = Field(default_factory=lambda: now().date())
    quantity: int
    unit: UsageUnit = Field(sa_type=choice(UsageUnit))
    cost_usd: Decimal = Field(sa_type=Dollars)
    run_id: str | None = Field(default=None, index=True)
    sandbox_id: str | None = None
    chain_id: str | None = None
    issue_session_id: str | None = None
    source_id: str
    """What used it (a message, a sandbox): with the unit unique, so that nothing is counted twice."""


def attribution(job_id: str) -> dict[str, str]:
    """The column of a usage record that names the job whose work used it."""
    columns = {"r": "run_id", "is": "issue_session_id"}
    return {column: job_id for prefix, column in columns.items() if is_id(job_id, prefix)}


class CostRate(Table, table=True):
    """Prices of a model family in USD per million tokens; the longest matching prefix counts."""

    model_prefix: str = Field(primary_key=True)
    input: Decimal = Field(sa_type=Dollars)
    cache_write_5m: Decimal = Field(sa_type=Dollars)
    cache_write_1h: Decimal = Field(sa_type=Dollars)
    cache_read: Decimal = Field(sa_type=Dollars)
    output: Decimal = Field(sa_type=Dollars)
    updated_at: dt.datetime = Field(default_factory=now, sa_type=Timestamp)


class Tokens(NamedTuple):
    """Tokens of one model turn; `input` excludes what was read from or written to the prompt cache."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


async def rate_of(session: AsyncSession, model: str) -> CostRate | None:
    """The rate whose prefix fits the model best; None for a model without a price."""
    rates = (await session.execute(select(CostRate))).scalars().all()
    fitting = [rate for rate in rates if model.startswith(rate.model_prefix)]
    return max(fitting, key=lambda rate: len(rate.model_prefix), default=None)


def cost(rate: CostRate | None, tokens: Tokens) -> dict[UsageUnit, tuple[int, Decimal]]:
    """Quantity and price in USD of every unit that was used; a model without a rate costs nothing."""
    zero = Decimal(0)
    price = rate or CostRate(
        model_prefix="", input=zero, cache_write_5m=zero, cache_write_1h=zero, cache_read=zero, output=zero
    )
    written = price.cache_write_5m * tokens.cache_write_5m + price.cache_write_1h * tokens.cache_write_1h
    units = {
        UsageUnit.input_tokens: (tokens.input, price.input * tokens.input),
        UsageUnit.output_tokens: (tokens.output, price.output * tokens.output),
        UsageUnit.cache_read_tokens: (tokens.cache_read, price.cache_read * tokens.cache_read),
        UsageUnit.cache_write_tokens: (tokens.cache_write_5m + tokens.cache_write_1h, written),
    }
    return {unit: (quantity, usd / 1_000_000) for unit, (quantity, usd) in units.items() if quantity}
