"""What was used and what it cost, one record a unit, written with the effect that used it."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.ids import prefixed
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


class CostRate(Table, table=True):
    """Prices of a model family in USD per million tokens; the longest matching prefix counts."""

    model_prefix: str = Field(primary_key=True)
    input: Decimal = Field(sa_type=Dollars)
    cache_write_5m: Decimal = Field(sa_type=Dollars)
    cache_write_1h: Decimal = Field(sa_type=Dollars)
    cache_read: Decimal = Field(sa_type=Dollars)
    output: Decimal = Field(sa_type=Dollars)
    updated_at: dt.datetime = Field(default_factory=now, sa_type=Timestamp)
