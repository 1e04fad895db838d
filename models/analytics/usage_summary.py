"""What usage comes to, summed up by the database: from what is summed up already, wherever this says it.

The statements are written by hand: a month shall cost no more than a few looks at one run, and the same by
way of the session costs three times as much (`tests/bench/bench_analytics.py`).
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from models.analytics.day_range import Days
from models.analytics.usage_rollup import DAY_SECONDS, HOUR_SECONDS, QUARTER_HOUR_SECONDS
from models.analytics.usage_schemas import UsageGroup, UsageGrouping, UsageSummary
from models.budgets.usage import UsageUnit

Fetch = Callable[[str, Mapping[str, object]], Awaitable[Sequence[Sequence[Any]]]]
"""Reads all rows of a statement."""
ROLLUP_COLUMNS: Final = frozenset({"service", "unit"})
"""The filters by which sums can be told apart."""
RECORDS_SOURCE: Final = "usage_record WHERE created_at >= %(begin)s AND created_at < %(end)s"
ROLLUP_SOURCE: Final = "usage_rollup WHERE span = %(span)s AND since >= %(begin)s AND since < %(end)s"
PARTIAL_ROLLUP_SOURCE: Final = f"""
    usage_rollup WHERE (span = {HOUR_SECONDS} AND since >= %(begin)s AND since < %(end)s
        AND since <> ALL(%(split)s::timestamptz[])
        OR span = {QUARTER_HOUR_SECONDS} AND since = ANY(%(quarters)s::timestamptz[]))
"""
"""Where the sums of some days are found, and which of them."""


class UsageSum(NamedTuple):
    """What the records of one key and one unit come to."""

    key: str
    unit: str
    records: int
    quantity: int
    cost_usd: Decimal


@dataclass
class UsageTotal:
    """What records of all units come to."""

    records: int = 0
    cost_usd: Decimal = Decimal(0)
    quantities: dict[str, int] = field(default_factory=dict)

    def add(self, more: UsageSum) -> None:
        self.records += more.records
        self.cost_usd += more.cost_usd
        self.quantities[more.unit] = self.quantities.get(more.unit, 0) + more.quantity

    def quantity(self, unit: UsageUnit) -> int:
        return self.quantities.get(unit.value, 0)


async def sum_usage(
    fetch: Fetch, project_id: str, days: Days, grouping: UsageGrouping, filters: Mapping[str, str]
) -> list[UsageSum]:
    """The sums of what a project used on these days; `filters` are columns of usage records."""
    bounds = days.bounds
    source, values = RECORDS_SOURCE, dict[str, object](begin=bounds[0], end=bounds[-1])
    if filters.keys() <= ROLLUP_COLUMNS:
        source, values = _covered_ranges(bounds)
    if grouping is UsageGrouping.day:
        values["days"] = timestamp_array_literal(bounds[:-1])
    sql = _statement(source, grouping, tuple(filters))
    found = await fetch(sql, {**values, **filters, "project_id": project_id})
    if grouping is not UsageGrouping.day:
        return [UsageSum(*row) for row in found]
    dates = [day.isoformat() for day in days.dates]
    return [UsageSum(dates[index - 1], *rest) for index, *rest in found]


def timestamp_array_literal(moments: Sequence[datetime]) -> str:
    """The text of an array of moments, which is made in a tenth of the time that the driver's takes."""
    return "{" + ",".join([moment.isoformat() for moment in moments]) + "}"


def _covered_ranges(bounds: Sequence[datetime]) -> tuple[str, dict[str, object]]:
    """Where the days between these bounds are summed up already.

    Days of UTC are there as such. Others are made of hours and, where a bound lies within an hour, of its
    quarters. Should one lie within a quarter, only the records know.
    """
    begin, end = bounds[0], bounds[-1]
    within = {span: _cut(bounds, span) for span in (DAY_SECONDS, HOUR_SECONDS, QUARTER_HOUR_SECONDS)}
    if within[QUARTER_HOUR_SECONDS]:
        return RECORDS_SOURCE, {"begin": begin, "end": end}
    if not within[HOUR_SECONDS]:
        return ROLLUP_SOURCE, {
            "begin": begin,
            "end": end,
            "span": HOUR_SECONDS if within[DAY_SECONDS] else DAY_SECONDS,
        }
    parts = [
        hour + timedelta(seconds=part)
        for hour in within[HOUR_SECONDS]
        for part in range(0, HOUR_SECONDS, QUARTER_HOUR_SECONDS)
    ]
    quarters = [moment for moment in parts if begin <= moment < end]
    return PARTIAL_ROLLUP_SOURCE, {
        "begin": begin,
        "end": end,
        "split": timestamp_array_literal(within[HOUR_SECONDS]),
        "quarters": timestamp_array_literal(quarters),
    }


def _cut(bounds: Sequence[datetime], span: int) -> list[datetime]:
    """The beginnings of the spans within which one of the bounds lies."""
    offsets = [(moment, int(moment.timestamp()) % span) for moment in bounds]
    return sorted({moment - timedelta(seconds=offset) for moment, offset in offsets if offset})


@cache
def _statement(source: str, grouping: UsageGrouping, filters: tuple[str, ...]) -> str:
    in_records = source is RECORDS_SOURCE
    moment, records = ("created_at", "count(*)") if in_records else ("since", "sum(records)::bigint")
    key = (
        f"width_bucket({moment}, %(days)s::timestamptz[])"
        if grouping is UsageGrouping.day
        else grouping.value
    )
    conditions = "".join(f" AND {name} = %({name})s" for name in ("project_id", *filters))
    return (
        f"SELECT {key}, unit, {records}, sum(quantity)::bigint, sum(cost_usd) FROM {source}{conditions}"  # noqa: S608
        f" GROUP BY 1, 2 HAVING {records} > 0"
    )


async def summarize_usage(
    fetch: Fetch, project_id: str, days: Days, grouping: UsageGrouping, filters: Mapping[str, str]
) -> UsageSummary:
    """All of it, and its groups."""
    sums = await sum_usage(fetch, project_id, days, grouping, filters)
    by_key: defaultdict[str, UsageTotal] = defaultdict(UsageTotal)
    everything = UsageTotal()
    if grouping is UsageGrouping.day:
        by_key.update({day.isoformat(): UsageTotal() for day in days.dates})
    for one in sums:
        by_key[one.key].add(one)
        everything.add(one)
    groups = [_group(key, total) for key, total in by_key.items()]
    if grouping is not UsageGrouping.day:
        groups.sort(key=lambda group: (-group.cost_usd, group.key))
    return UsageSummary(
        group_by=grouping, records=everything.records, cost_usd=everything.cost_usd, groups=groups
    )


def total_by_day(sums: Sequence[UsageSum], days: Days) -> dict[date, UsageTotal]:
    """Of sums by day: what each of the days comes to, those without usage too."""
    totals = {day: UsageTotal() for day in days.dates}
    for one in sums:
        totals[date.fromisoformat(one.key)].add(one)
    return totals


def _group(key: str, total: UsageTotal) -> UsageGroup:
    quantities = dict(sorted(total.quantities.items()))
    return UsageGroup(key=key, records=total.records, cost_usd=total.cost_usd, quantities=quantities)
