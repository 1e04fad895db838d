"""Personas: who works on a step."""

from typing import Annotated

from fastapi import Query

from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from kit.schemas import QueryFlag
from models.assets.references import references_of, require_assets
from models.base import now
from models.blueprints.persona import Persona, StepRole
from models.blueprints.persona_schemas import PERSONAS, PersonaCreate, PersonaRead, PersonaUpdate

router = Router("/personas", "Personas")
READ, WRITE = requires("personas:read"), requires("personas:write")
Personas = Annotated[ProjectRows[Persona, PersonaRead], project_rows(PERSONAS)]


class PersonaList(PageQuery):
    type: StepRole | None = None
    """Personas for this role."""
    is_enabled: QueryFlag | None = None
    """Only enabled, or only disabled ones."""


@router.get("", READ, name="list_personas_legacy")
@router.get("/list", READ)
async def list_personas(personas: Personas, window: Annotated[PersonaList, Query()]) -> ItemPage[PersonaRead]:
    """List the project's personas, newest first."""
    return personas.page(window)


@router.get("/get", READ)
async def get_persona(id: str, personas: Personas) -> Item[PersonaRead]:
    """Get one persona."""
    return personas.item(id)


@router.post("/create", WRITE, creates=True)
async def create_persona(body: PersonaCreate, personas: Personas) -> Item[PersonaRead]:
    """Create a persona; the assets that it names, by id or by name, have to exist."""
    persona = personas.add(**body.model_dump())
    await require_assets(
        personas.unit.session, persona.project_id, references_of(persona, body.model_fields_set)
    )
    return personas.item(persona.id)


@router.post("/update", WRITE)
async def update_persona(body: PersonaUpdate, personas: Personas) -> Item[PersonaRead]:
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
    return personas.item(persona.id)
