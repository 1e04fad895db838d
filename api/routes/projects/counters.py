"""The counters of the key's project."""

from fastapi import Request

from api.after_commit import DbSession
from api.auth import requires
from api.http.router import Router
from api.state import unit_of_work_of
from models.analytics.counters import Counters, count_project

router = Router("/project", "Project Management")


@router.get("/counters", requires("projects:read"))
async def get_project_counters(session: DbSession, request: Request) -> Counters:
    """Count what there is in the project right now."""
    return await count_project(session, unit_of_work_of(request).key.project_id)
