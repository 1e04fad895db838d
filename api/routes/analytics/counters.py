"""How much there is of everything, now."""

from fastapi import Request

from api.after_commit import DbSession
from api.auth import requires
from api.http.router import Router
from api.state import unit_of_work_of
from models.analytics.counters import Counters, count_project

router = Router("/analytics", "Analytics")


@router.get("/counters", requires("analytics:read"))
async def get_analytics_counters(session: DbSession, request: Request) -> Counters:
    """Count what there is in the project right now: the same as the project's own counters."""
    return await count_project(session, unit_of_work_of(request).key.project_id)
