"""The project day by day."""

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from api.auth import requires
from api.http.pagination import CursorCodec, PageQuery
from api.http.router import Router
from api.state import unit_of_work_of
from kit.schemas import Page
from models.analytics.daily_stats import DailyStats, read_daily_stats
from models.analytics.day_range import Day, Days, Zone, days_between

router = Router("/analytics", "Analytics")


class DailyWindow(PageQuery):
    """Which days."""

    limit: Annotated[int, Field(ge=1, le=100)] = 100
    """How many days a page has at most."""
    start_date: Day | None = None
    """The first day of the range, as YYYY-MM-DD; 30 days until the last one when it is left out."""
    end_date: Day | None = None
    """The last day of the range, as YYYY-MM-DD; today when it is left out."""
    timezone: Zone = "UTC"
    """The IANA time zone whose days these are."""


@router.get("/daily-stats", requires("analytics:read"))
async def list_daily_stats(window: Annotated[DailyWindow, Query()], request: Request) -> Page[DailyStats]:
    """List the days of the project, newest first: what was started, how it ended, what it cost.

    The range has 30 days unless it is given, and 366 at most; days without any work are all zeros.
    """
    unit = unit_of_work_of(request)
    days = days_between(window.start_date, window.end_date, window.timezone)
    cursors = CursorCodec(["daily-stats", unit.key.project_id, *map(str, days)], [int])
    skipped = 0 if window.cursor is None else int(str(cursors.decode(window.cursor)[0]))
    last = days.last - timedelta(days=min(skipped, days.length - 1))
    first = max(days.first, last - timedelta(days=window.limit - 1))
    rows = await read_daily_stats(unit.fetch, unit.key.project_id, Days(first, last, days.zone))
    more = first > days.first
    following = cursors.encode([(days.last - first).days + 1]) if more else None
    return Page(data=rows, next_cursor=following, has_more=more)
