"""What was used and what it cost: the records, and what they come to."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import ItemPage, SummarizedPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.state import UnitOfWork
from kit.errors import Invalid
from models.analytics.day_range import FIRST_DATE, LAST_DATE, Day, Days, Zone, days_between
from models.analytics.usage_schemas import USAGE, UsageGrouping, UsagePage, UsageRead, UsageSummary
from models.analytics.usage_summary import summarize_usage
from models.budgets.usage import UsageRecord, UsageUnit

router = Router("/analytics", "Analytics")
Usage = Annotated[ProjectRows[UsageRecord, UsageRead], project_rows(USAGE)]


class UsageWindow(PageQuery):
    """Records that fit every filter that is given."""

    start_date: Day | None = None
    """The first day, as YYYY-MM-DD; without it the list goes back to the first record."""
    end_date: Day | None = None
    """The last day, as YYYY-MM-DD; without it the list begins with the newest record."""
    timezone: Zone = "UTC"
    """The IANA time zone whose days these are."""
    service: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Records of this service, for example `anthropic` or `e2b`."""
    unit: UsageUnit | None = None
    """Records of this unit."""
    run_id: str | None = None
    """What this run used."""
    chain_id: str | None = None
    """What the runs of this work chain or sprint chain used."""
    issue_session_id: str | None = None
    """What this issue session used."""
    group_by: UsageGrouping | None = None
    """Adds a summary of all records that fit, by this; needs `startDate` and at most 366 days."""

    @property
    def days(self) -> Days:
        """The days that are asked for, however many."""
        if self.start_date is None:
            return Days(FIRST_DATE, self.end_date or LAST_DATE, self.timezone)
        end = self.end_date or (None if self.group_by else LAST_DATE)
        return days_between(self.start_date, end, self.timezone, at_most=None)

    def attributes(self) -> dict[str, str]:
        """The filters besides the days, by the records' columns."""
        names = {"service", "unit", "run_id", "chain_id", "issue_session_id"}
        return self.model_dump(include=names, exclude_none=True, mode="json")

    def filters(self) -> dict[str, object]:
        days, given = self.days, dict[str, object](self.attributes())
        if self.start_date is not None:
            given["since"] = days.start.isoformat()
        if self.end_date is not None:
            given["until"] = days.end.isoformat()
        return given


@router.get("/usage", requires("analytics:read"))
async def list_usage(
    usage: Usage, window: Annotated[UsageWindow, Query()]
) -> UsagePage | ItemPage[UsageRead]:
    """List what was used and what it cost, record by record, newest first.

    With `groupBy` the page also has a `summary`: what all records that fit come to, by day, service or unit.
    """
    page = usage.page(window)
    return SummarizedPage(
        page.view, page.where, page.window, extra={"summary": await _summary(usage.unit, window)}
    )


async def _summary(unit: UnitOfWork, window: UsageWindow) -> UsageSummary | None:
    if window.group_by is None:
        return None
    if window.start_date is None:
        raise Invalid("startDate: `groupBy` needs a first day.", field="startDate")
    days = days_between(window.start_date, window.end_date, window.timezone)
    return await summarize_usage(unit.fetch, unit.key.project_id, days, window.group_by, window.attributes())
