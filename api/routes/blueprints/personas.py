"""Personas: who works on a step."""

from typing import Annotated

from fastapi import Query

from api.auth import needs
from api.http.pagination import Window
from api.http.responses import Many, One
from api.http.router import Router
from api.http.rows import Rows, rows
from kit.schemas import QueryFlag
from models.assets.references import references_of, require_assets
from models.base import now
from models.blueprints.persona import Persona, StepRole
from models.blueprints.persona_schemas import PERSONAS, PersonaCreate, PersonaRead, PersonaUpdate

router = Router("/personas", "Personas")
READ, WRITE = needs("personas:read"), needs("personas:write")
Personas = Annotated[Rows[Persona, PersonaRead], rows(PERSONAS)]


class PersonaList(Window):
    type: StepRole | None = None
    """Personas for this role."""
    is_enabled: QueryFlag | None = None
    """Only enabled, or only disabled ones."""


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
    """Create a persona; the assets that it names, by id or by name, have to exist."""
    persona = personas.add(**body.model_dump())
    await require_assets(
        personas.unit.session, persona.project_id, references_of(persona, body.model_fields_set)
    )
    return personas.one(persona.id)


@router.post("/update", WRITE)
async def update_persona(body: PersonaUpdate, personas: Personas) -> One[PersonaRead]:
    """Change a persona; runs in flight keep the one they started with.

    The assets that are named anew, by id or by name, have to exist.
    """
    persona = await personas.get(body.persona_id, lock=True)
    persona.sqlmodel_update(
        body.model_dump(exclude_unset=True, exclude={"persona_id"}) | {"updated_at": now()}
    )
    await require_assets(
        personas.unit.session, persona.project_id, references_of(persona, body.model_fields_set)
    )
    return personas.one(persona.id)
