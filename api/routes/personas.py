"""Personas: who works on a step."""

from typing import Annotated

from fastapi import Query

from api.answers import Many, One
from api.keys import needs
from api.pages import Window
from api.router import Router
from api.rows import Rows, rows
from models.base import now
from models.persona import Persona, StepRole
from models.persona_wire import PERSONAS, PersonaCreate, PersonaRead, PersonaUpdate

router = Router("/personas", "Personas")
READ, WRITE = needs("personas:read"), needs("personas:write")
Personas = Annotated[Rows[Persona, PersonaRead], rows(PERSONAS)]


class PersonaList(Window):
    type: StepRole | None = None
    is_enabled: bool | None = None


@router.get("", READ, name="list_personas_legacy")
@router.get("/list", READ)
async def list_personas(personas: Personas, window: Annotated[PersonaList, Query()]) -> Many[PersonaRead]:
    """List the project's personas, newest first."""
    return personas.page(window)


@router.get("/get", READ)
async def get_persona(id: str, personas: Personas) -> One[PersonaRead]:
    """Get one persona."""
    return personas.one(id)


@router.post("/create", WRITE, creates=True)
async def create_persona(body: PersonaCreate, personas: Personas) -> One[PersonaRead]:
    """Create a persona."""
    return personas.one(personas.add(**body.model_dump()).id)


@router.post("/update", WRITE)
async def update_persona(body: PersonaUpdate, personas: Personas) -> One[PersonaRead]:
    """Change a persona; runs in flight keep the one they started with."""
    persona = await personas.get(body.persona_id, lock=True)
    persona.sqlmodel_update(
        body.model_dump(exclude_unset=True, exclude={"persona_id"}) | {"updated_at": now()}
    )
    return personas.one(persona.id)
