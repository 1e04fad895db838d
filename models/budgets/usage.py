"""What was used and what it cost, one record a unit, written with the effect that used it."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from sqlalchemy import ColumnElement, Index, select, update
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import is_id, prefixed
from models.base import Dollars, Record, Table, Timestamp, enum_column, now


class UsageUnit(StrEnum):
    """What is counted: tokens by kind, seconds of sandboxes, or calls of an API."""

    input_tokens = "input_tokens"
    output_tokens = "output_tokens"
    cache_read_tokens = "cache_read_tokens"
    cache_write_tokens = "cache_write_tokens"
    sandbox_seconds = "sandbox_seconds"
    api_calls = "api_calls"


class UsageRecord(Record, table=True):
    __table_args__ = (
        Index("usage_source", "source_id", "unit", unique=True),
        Index("usage_timeline", "project_id", "created_at", "id"),
        Index("usage_of_service", "project_id", "service", "created_at", "id"),
        Index("usage_of_unit", "project_id", "unit", "created_at", "id"),
        Index("usage_of_run", "run_id", "created_at", "id", postgresql_where="run_id IS NOT NULL"),
        Index("usage_of_chain", "chain_id", "created_at", "id", postgresql_where="chain_id IS NOT NULL"),
        Index(
            "usage_of_issue_session",
            "issue_session_id",
            "created_at",
            "id",
            postgresql_where="issue_session_id IS NOT NULL",
        ),
    )
    id: str = Field(default_factory=prefixed("use"), primary_key=True)
    project_id: str = Field(foreign_key="project.id")
    service: str
    date: dt.date = Field(default_factory=lambda: now().date())
    quantity: int
    unit: UsageUnit = Field(sa_type=enum_column(UsageUnit))
    cost_usd: Decimal = Field(sa_type=Dollars)
    run_id: str | None = None
    sandbox_id: str | None = None
    chain_id: str | None = None
    issue_session_id: str | None = None
    source_id: str
    """What used it (a message, a sandbox): with the unit unique, so that nothing is counted twice."""


def source_column(job_id: str) -> dict[str, str]:
    """The column of a usage record that names the job whose work used it."""
    columns = {"r": "run_id", "is": "issue_session_id"}
    return {column: job_id for prefix, column in columns.items() if is_id(job_id, prefix)}


async def clear_usage_sources(session: AsyncSession, those: ColumnElement[bool]) -> None:
    """Keep what was used and what it cost, without saying by what: that is deleted for good."""
    unnamed = {"run_id": None, "issue_session_id": None, "sandbox_id": None, "source_id": col(UsageRecord.id)}
    await session.execute(update(UsageRecord).where(those).values(unnamed))


class CostRate(Table, table=True):
    """Prices of a model family in USD per million tokens: a project's own, or the installation's."""

    __table_args__ = (
        Index(
            "cost_rate_once", "project_id", "model_prefix", unique=True, postgresql_nulls_not_distinct=True
        ),
    )
    id: str = Field(default_factory=prefixed("rate"), primary_key=True)
    project_id: str | None = Field(default=None, foreign_key="project.id")
    """Whose price it is; None for the installation's, which counts for every project without its own."""
    model_prefix: str
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

    @property
    def cache_write(self) -> int:
        return self.cache_write_5m + self.cache_write_1h


class CostCounter(Protocol):
    """A row that counts what was used for it: a job, or a run's step."""

    cost_usd: Decimal
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


def add_cost(row: CostCounter, tokens: Tokens, cost_usd: Decimal) -> None:
    """Count what one request to a model used and cost, whatever has become of the row meanwhile."""
    row.cost_usd += cost_usd
    row.input_tokens += tokens.input
    row.output_tokens += tokens.output
    row.cache_read_tokens += tokens.cache_read
    row.cache_write_tokens += tokens.cache_write


async def find_cost_rate(
    session: AsyncSession, model: str, project_id: str, *, installations_first: bool = False
) -> CostRate | None:
    """What the model costs this project; None for a model without a price.

    The project's own rates go before the installation's; of several that fit, the longest prefix counts.

    installations_first: the other way round, where the installation's key pays.
    """
    statement = select(CostRate).where(
        col(CostRate.project_id).is_(None) | (col(CostRate.project_id) == project_id)
    )
    rates = (await session.execute(statement)).scalars().all()
    fitting = [rate for rate in rates if model.startswith(rate.model_prefix)]

    def place(rate: CostRate) -> tuple[bool, int]:
        return (rate.project_id is None) is installations_first, len(rate.model_prefix)

    return max(fitting, key=place, default=None)


def price_usage(rate: CostRate | None, tokens: Tokens) -> dict[UsageUnit, tuple[int, Decimal]]:
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
        UsageUnit.cache_write_tokens: (tokens.cache_write, written),
    }
    return {unit: (quantity, usd / 1_000_000) for unit, (quantity, usd) in units.items() if quantity}
