"""Usage of a project by days, hours and quarters of an hour in UTC, kept up by triggers on `usage_record`.

A month of a busy project is hundreds of thousands of records, but only thirty days or some hundred hours; and
every time zone's days are made of hours and quarters. The triggers stand in the migration: whatever writes,
changes or deletes records, the sums are theirs in the same transaction.

Several rows may be of the same time, service and unit: who finds all of them locked adds one more instead
of waiting, so that no writer ever waits for another, and none can be in a deadlock. Sum them up.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Index, Numeric
from sqlmodel import Field

from models.base import Table, Timestamp, enum_column
from models.budgets.usage import UsageUnit

DAY_SECONDS: Final = 86_400
HOUR_SECONDS: Final = 3_600
QUARTER_HOUR_SECONDS: Final = 900
BigInt = cast("Any", BigInteger)
TotalUsd = cast("Any", Numeric(20, 8))


class UsageRollup(Table, table=True):
    __table_args__ = (Index("usage_rollup_key", "project_id", "span", "since", "service", "unit"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInt)
    project_id: str = Field(foreign_key="project.id", ondelete="CASCADE")
    span: int
    """How many seconds it is of: a day, an hour or a quarter of an hour."""
    since: datetime = Field(sa_type=Timestamp)
    """When that begins."""
    service: str
    unit: UsageUnit = Field(sa_type=enum_column(UsageUnit))
    records: int = Field(sa_type=BigInt)
    quantity: int = Field(sa_type=BigInt)
    cost_usd: Decimal = Field(sa_type=TotalUsd)
