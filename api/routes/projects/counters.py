"""The counters of the key's project."""

from fastapi import Request

from api.context import unit_of
from api.keys import needs
from api.router import Router
from api.workflows import Session
from models.analytics.counters import Counters, count_project

router = Router("/project", "Project Management")


@router.get("/counters", needs("projects:read"))
async def get_project_counters(session: Session, request: Request) -> Counters:
    """Count what there is in the project right now."""
    return await count_project(session, unit_of(request).key.project_id)
