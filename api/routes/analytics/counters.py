"""How much there is of everything, now."""

from fastapi import Request

from api.after_commit import Session
from api.auth import needs
from api.http.router import Router
from api.state import unit_of
from models.analytics.counters import Counters, count_project

router = Router("/analytics", "Analytics")


@router.get("/counters", needs("analytics:read"))
async def get_analytics_counters(session: Session, request: Request) -> Counters:
    """Count what there is in the project right now: the same as the project's own counters."""
    return await count_project(session, unit_of(request).key.project_id)
