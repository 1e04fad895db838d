"""A project day by day: what was started, how it ended, what it cost."""

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from kit.schemas import UsdAmount, Wire
from models.analytics.day_range import Days
from models.analytics.usage_schemas import UsageGrouping
from models.analytics.usage_summary import Fetch, UsageTotal, sum_usage, timestamp_array_literal, total_by_day
from models.budgets.usage import UsageUnit
from models.json_view import example
from models.runs.run import PrStatus, RunStatus
from models.runs.run_step_schemas import TokenUsage


class DailyStats(Wire):
    """One day of a project. Runs in the trash do not count any more; what they cost does."""

    model_config = example(
        date="2026-01-15",
        runsStarted=12,
        runsCompleted=9,
        runsFailed=1,
        runsCancelled=1,
        pullRequests=8,
        pullRequestsMerged=5,
        costUsd=4.2,
        sandboxSeconds=7200,
        apiCalls=0,
        tokenUsage={"input": 512_000, "output": 48_000, "cacheRead": 2_048_000, "cacheWrite": 204_800},
    )
    date: str
    """The day, in the time zone that was asked for."""
    runs_started: int = 0
    """Runs that were started on this day, by whatever means."""
    runs_completed: int = 0
    """Runs that ended on this day and had done their work."""
    runs_failed: int = 0
    """Runs that failed on this day."""
    runs_cancelled: int = 0
    """Runs that were cancelled on this day."""
    pull_requests: int = 0
    """Pull requests of the runs that ended on this day."""
    pull_requests_merged: int = 0
    """Those of them that are merged by now."""
    cost_usd: UsdAmount = Decimal(0)
    """What was spent on this day, in US dollars."""
    token_usage: TokenUsage
    """The tokens that models read and wrote on this day."""
    sandbox_seconds: int = 0
    """How long the sandboxes that ended on this day had lived."""
    api_calls: int = 0
    """Calls to services that are paid by the call."""


@dataclass
class EndedRuns:
    """The runs that ended on one day, by their status and by that of their pull requests, if any."""

    runs: Counter[str] = field(default_factory=Counter)
    pull_requests: Counter[str | None] = field(default_factory=Counter)


_COUNT_STARTED_RUNS: Final = """
    SELECT width_bucket(created_at, %(days)s::timestamptz[]), count(*) FROM run
    WHERE project_id = %(project_id)s AND deleted_at IS NULL
        AND created_at >= %(begin)s AND created_at < %(end)s
    GROUP BY 1
"""
_COUNT_ENDED_RUNS: Final = """
    SELECT width_bucket(completed_at, %(days)s::timestamptz[]), status, pr_status, count(*) FROM run
    WHERE project_id = %(project_id)s AND deleted_at IS NULL
        AND completed_at >= %(begin)s AND completed_at < %(end)s
    GROUP BY 1, 2, 3
"""


async def read_daily_stats(fetch: Fetch, project_id: str, days: Days) -> list[DailyStats]:
    """Every day of the range, the newest first; days without any work are all zeros."""
    bounds = days.bounds
    values = {
        "project_id": project_id,
        "days": timestamp_array_literal(bounds[:-1]),
        "begin": bounds[0],
        "end": bounds[-1],
    }
    started: Counter[int] = Counter()
    for index, count in await fetch(_COUNT_STARTED_RUNS, values):
        started[index] = count
    ended: defaultdict[int, EndedRuns] = defaultdict(EndedRuns)
    for index, status, pr_status, count in await fetch(_COUNT_ENDED_RUNS, values):
        ended[index].runs[status] += count
        ended[index].pull_requests[pr_status] += count
    used = total_by_day(await sum_usage(fetch, project_id, days, UsageGrouping.day, {}), days)
    return [
        _day(day, started[index], ended[index], used[day])
        for index, day in reversed([*enumerate(days.dates, start=1)])
    ]


def _day(day: dt.date, started: int, ended: EndedRuns, used: UsageTotal) -> DailyStats:
    made = (PrStatus.created, PrStatus.merged, PrStatus.blocked_on_ci)
    return DailyStats(
        date=day.isoformat(),
        runs_started=started,
        runs_completed=ended.runs[RunStatus.completed],
        runs_failed=ended.runs[RunStatus.failed],
        runs_cancelled=ended.runs[RunStatus.cancelled],
        pull_requests=sum(ended.pull_requests[status] for status in made),
        pull_requests_merged=ended.pull_requests[PrStatus.merged],
        cost_usd=used.cost_usd,
        token_usage=TokenUsage(
            input=used.quantity(UsageUnit.input_tokens),
            output=used.quantity(UsageUnit.output_tokens),
            cache_read=used.quantity(UsageUnit.cache_read_tokens),
            cache_write=used.quantity(UsageUnit.cache_write_tokens),
        ),
        sandbox_seconds=used.quantity(UsageUnit.sandbox_seconds),
        api_calls=used.quantity(UsageUnit.api_calls),
    )
