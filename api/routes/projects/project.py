"""The key's project and its settings."""

from typing import Annotated

from fastapi import Query, Request
from pydantic.alias_generators import to_camel

from activities.runs.queue_signals import signal_next_runs
from api.after_commit import AfterCommitDep, DbSession
from api.auth import requires
from api.github.repository_fields import parse_repository_field
from api.http.etags import require_match
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage, render_object
from api.http.router import Router
from api.state import unit_of_work_of
from kit.crypto import Vault
from kit.errors import Invalid
from kit.redaction import TooManySecrets
from models.assets.references import references_of, require_assets
from models.base import JsonObject
from models.budgets.budget import Budget
from models.projects.agent_config import AGENT_CONFIG_FIELDS, merge_config
from models.projects.allowed_repository import require_repository
from models.projects.project import Project, Role, TooManyVariables
from models.projects.project_schemas import (
    PROJECTS,
    EnvVarRead,
    ProjectRead,
    ProjectUpdate,
    SettingsRead,
    SettingsUpdate,
)

router = Router("", "Project Management")
READ, WRITE = requires("projects:read"), requires("projects:write", Role.admin)


@router.get("/project", READ)
async def get_project(request: Request) -> Item[ProjectRead]:
    """Get the project that the key belongs to."""
    return Item(PROJECTS, {"id": unit_of_work_of(request).key.project_id})


@router.get("/projects", READ)
async def list_projects(request: Request, window: Annotated[PageQuery, Query()]) -> ItemPage[ProjectRead]:
    """List the projects that the key opens, which is one."""
    return ItemPage(PROJECTS, {"id": unit_of_work_of(request).key.project_id}, window)


@router.post("/project/update", WRITE)
async def update_project(body: ProjectUpdate, session: DbSession, request: Request) -> Item[ProjectRead]:
    """Change the project's name, slug or repository."""
    unit = unit_of_work_of(request)
    if body.github_repo_url is not None:
        slug = parse_repository_field(body.github_repo_url, unit.api.settings)
        await require_repository(session, unit.key.project_id, slug)
    project = await session.get_one(Project, unit.key.project_id, with_for_update=True)
    shown = Item(PROJECTS, {"id": project.id})
    if unit.if_match is not None:
        require_match(unit.if_match, await shown.render(unit.fetch))
    project.sqlmodel_update(body.model_dump(exclude_unset=True))
    return shown


@router.get("/project/settings", READ)
async def get_settings(session: DbSession, request: Request) -> SettingsRead:
    """Get how the project's agents work: prompts, variables, commit identity.

    The values of secret variables are never shown.
    """
    unit = unit_of_work_of(request)
    project = await session.get_one(Project, unit.key.project_id)
    return _settings_read(project, unit.api.vault, await session.get(Budget, project.id))


@router.post("/project/settings/update", WRITE)
async def update_settings(
    body: SettingsUpdate, session: DbSession, workflows: AfterCommitDep, request: Request
) -> SettingsRead:
    """Change the project's settings.

    Variables are merged by name: a given one is set, `null` removes it, all others stay. The assets that a
    configuration names, by id or by name, have to exist.
    """
    unit = unit_of_work_of(request)
    project = await session.get_one(Project, unit.key.project_id, with_for_update=True)
    budget = await session.get(Budget, project.id)
    require_match(unit.if_match, render_object(_settings_read(project, unit.api.vault, budget)))
    project.sqlmodel_update(
        body.model_dump(exclude_unset=True, exclude={"env_vars", "egress", *AGENT_CONFIG_FIELDS})
    )
    for name in body.model_fields_set & {"egress", *AGENT_CONFIG_FIELDS}:
        setattr(project, name, merge_config(getattr(project, name), getattr(body, name)))
    named = [
        reference
        for name in AGENT_CONFIG_FIELDS
        if name in body.model_fields_set
        for reference in references_of(
            getattr(body, name), getattr(body, name).model_fields_set, f"{to_camel(name)}."
        )
    ]
    await require_assets(session, project.id, named)
    if "max_concurrent_runs" in body.model_fields_set:
        id = project.id  # noqa: A001
        workflows.notify(id, lambda client: signal_next_runs(workflows.database, client, id))
    if "env_vars" in body.model_fields_set:
        try:
            project.change_variables(body.env_vars, unit.api.vault)
        except (TooManyVariables, TooManySecrets) as refused:
            raise Invalid(f"envVars: {refused}.", field="envVars") from refused
    return _settings_read(project, unit.api.vault, budget)


def _settings_read(project: Project, vault: Vault, budget: Budget | None) -> SettingsRead:
    variables = {
        name: EnvVarRead(
            value=None if variable["isSecret"] else vault.open(str(variable["value"])),
            is_secret=bool(variable["isSecret"]),
        )
        for name, variable in sorted(project.env_vars.items())
    }
    columns: JsonObject = project.model_dump(include=set(SettingsRead.model_fields) - {"env_vars"})
    return SettingsRead(**columns, env_vars=variables, max_cost_usd=budget.cap_usd if budget else None)
