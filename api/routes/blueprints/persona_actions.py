"""What is done with a persona as a whole, and its figures."""

from typing import Annotated

from fastapi import Query

from api.after_commit import DbSession
from api.auth import requires
from api.http.responses import Item
from api.http.router import Router
from api.routes.blueprints.personas import Personas
from kit.schemas import Wire
from models.analytics.day_range import DayCount
from models.analytics.persona_analytics import PersonaAnalytics, analyze_persona
from models.base import now
from models.blueprints.persona_schemas import PersonaDuplicate, PersonaRead, PersonaToggle

router = Router("/personas", "Personas")
READ, WRITE = requires("personas:read"), requires("personas:write")


class PersonaRange(Wire):
    """Which persona, and which days."""

    id: str
    """The persona."""
    days: DayCount | None = None
    """The last so many days until now; all time when it is left out."""


@router.get("/analytics", READ)
async def get_persona_analytics(
    personas: Personas, session: DbSession, window: Annotated[PersonaRange, Query()]
) -> PersonaAnalytics:
    """Get a persona's work in figures: runs, steps, success, costs, tokens and durations, also by model."""
    persona = await personas.get(window.id)
    return await analyze_persona(session, persona.project_id, persona.id, window.days)


@router.post("/duplicate", WRITE, creates=True)
async def duplicate_persona(
    body: PersonaDuplicate, personas: Personas, session: DbSession
) -> Item[PersonaRead]:
    """Copy a persona with everything that is selected for it."""
    copy = (await personas.get(body.persona_id)).duplicate(body.name)
    session.add(copy)
    return personas.item(copy.id)


@router.post("/toggle", WRITE)
async def toggle_persona(body: PersonaToggle, personas: Personas) -> Item[PersonaRead]:
    """Enable or disable a persona; a run cannot be started with a disabled one, runs in flight keep it."""
    persona = await personas.get(body.persona_id, lock=True)
    wanted = not persona.is_enabled if body.is_enabled is None else body.is_enabled
    persona.sqlmodel_update({"is_enabled": wanted, "updated_at": now()})
    return personas.item(persona.id)
