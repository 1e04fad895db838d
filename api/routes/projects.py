"""The key's project and its settings."""

from typing import Annotated

from fastapi import Query, Request

from api.answers import Many, One
from api.context import unit_of
from api.keys import needs
from api.pages import Window
from api.repository import repository
from api.router import Router
from api.workflows import Session
from kit.crypto import Vault
from models.base import JsonObject
from models.project import Project
from models.project_wire import (
    PROJECTS,
    EnvVarRead,
    ProjectRead,
    ProjectUpdate,
    SettingsRead,
    SettingsUpdate,
)

router = Router("", "Project Management")
READ, WRITE = needs("projects:read"), needs("projects:write")


@router.get("/project", READ)
async def get_project(request: Request) -> One[ProjectRead]:
    """Get the project that the key belongs to."""
    return One(PROJECTS, {"id": unit_of(request).key.project_id})


@router.get("/projects", READ)
async def list_projects(request: Request, window: Annotated[Window, Query()]) -> Many[ProjectRead]:
    """List the projects that the key opens, which is one."""
    return Many(PROJECTS, {"id": unit_of(request).key.project_id}, window)


@router.post("/project/update", WRITE)
async def update_project(body: ProjectUpdate, session: Session, request: Request) -> One[ProjectRead]:
    """Change the project's name, slug or repository."""
    unit = unit_of(request)
    if body.github_repo_url is not None:
        repository(body.github_repo_url, unit.api.settings)
    project = await session.get_one(Project, unit.key.project_id)
    project.sqlmodel_update(body.model_dump(exclude_unset=True))
    return One(PROJECTS, {"id": project.id})


@router.get("/project/settings", READ)
async def get_settings(session: Session, request: Request) -> SettingsRead:
    """Get how the project's agents work: prompts, variables, commit identity.

    The values of secret variables are never shown.
    """
    unit = unit_of(request)
    return _shown(await session.get_one(Project, unit.key.project_id), unit.api.vault)


@router.post("/project/settings/update", WRITE)
async def update_settings(body: SettingsUpdate, session: Session, request: Request) -> SettingsRead:
    """Change the project's settings.

    Variables are merged by name: a given one is set, `null` removes it, all others stay.
    """
    unit = unit_of(request)
    project = await session.get_one(Project, unit.key.project_id, with_for_update=True)
    project.sqlmodel_update(body.model_dump(exclude_unset=True, exclude={"env_vars"}))
    if "env_vars" in body.model_fields_set:
        kept = {name: value for name, value in project.env_vars.items() if name not in body.env_vars}
        given: dict[str, JsonObject] = {
            name: {"value": unit.api.vault.seal(variable.value), "isSecret": variable.is_secret}
            for name, variable in body.env_vars.items()
            if variable is not None
        }
        project.env_vars = {**kept, **given}
    return _shown(project, unit.api.vault)


def _shown(project: Project, vault: Vault) -> SettingsRead:
    variables = {
        name: EnvVarRead(
            value=None if variable["isSecret"] else vault.open(str(variable["value"])),
            is_secret=bool(variable["isSecret"]),
        )
        for name, variable in sorted(project.env_vars.items())
    }
    columns = project.model_dump(include=set(SettingsRead.model_fields) - {"env_vars"})
    return SettingsRead(**columns, env_vars=variables)
