"""What is known of a workflow besides what it says: its runs, its figures, what is related to it."""

from datetime import timedelta
from typing import Annotated

from fastapi import Query

from api.after_commit import DbSession
from api.auth import requires
from api.http.responses import ItemPage
from api.http.router import Router
from api.routes.blueprints.workflows import Blueprints
from api.routes.runs.runs import RunFilters, Runs
from kit.errors import Invalid
from kit.schemas import Wire
from models.analytics.day_range import MAX_DAYS, Day, DayCount, Days, Zone, days_between, today
from models.analytics.workflow_analytics import WorkflowAnalytics, analyze_workflow
from models.blueprints.related_objects import WorkflowRelated, find_related
from models.runs.run_schemas import RunRead

router = Router("/workflows", "Workflows")
READ = requires("workflows:read")


class WorkflowRuns(RunFilters):
    """Of one workflow."""

    id: str
    """The workflow."""

    def filters(self) -> dict[str, object]:
        given = super().filters()
        return {"workflow_id": given.pop("id"), **given}


class WorkflowRange(Wire):
    """Which workflow, and which days."""

    id: str
    """The workflow."""
    days: DayCount | None = None
    """The last so many days, today included; 30 unless a range is given."""
    start_date: Day | None = None
    """The first day of the range, as YYYY-MM-DD; not together with `days`."""
    end_date: Day | None = None
    """The last day of the range, as YYYY-MM-DD; today when it is left out."""
    timezone: Zone = "UTC"
    """The IANA time zone whose days these are."""

    @property
    def range(self) -> Days:
        if self.days is None:
            return days_between(self.start_date, self.end_date, self.timezone)
        if self.start_date is not None or self.end_date is not None:
            raise Invalid("days: give either this or startDate and endDate.", field="days")
        if self.days > MAX_DAYS:
            raise Invalid(f"days: the range may have {MAX_DAYS} days at most.", field="days")
        last = today(self.timezone)
        return Days(last - timedelta(days=self.days - 1), last, self.timezone)


@router.get("/runs", READ)
async def list_workflow_runs(
    blueprints: Blueprints, runs: Runs, window: Annotated[WorkflowRuns, Query()]
) -> ItemPage[RunRead]:
    """List the runs of a workflow, newest first."""
    await blueprints.get(window.id)
    return await window.page(runs)


@router.get("/analytics", READ)
async def get_workflow_analytics(
    blueprints: Blueprints, session: DbSession, window: Annotated[WorkflowRange, Query()]
) -> WorkflowAnalytics:
    """Get a workflow's runs in figures: how many, how they ended, what they cost, and all that by day.

    They are the runs that were started within the range: the last 30 days unless `days` or `startDate` and
    `endDate` say otherwise, at most 366 days.
    """
    blueprint = await blueprints.get(window.id)
    return await analyze_workflow(session, blueprint.project_id, blueprint.id, window.range)


@router.get("/related", READ)
async def get_workflow_related(id: str, blueprints: Blueprints, session: DbSession) -> WorkflowRelated:
    """Get what is related to a workflow: personas, issues, learning versions, recurring tasks and chains."""
    return await find_related(session, await blueprints.get(id))
