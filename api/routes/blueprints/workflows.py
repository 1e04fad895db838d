"""Workflows: the blueprints that users edit."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.after_commit import DbSession
from api.auth import requires
from api.http.errors import invalid_field
from api.http.filters import Search, SearchQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from models.assets.references import require_assets, script_references
from models.base import JsonObject
from models.blueprints.blueprint import Blueprint
from models.blueprints.blueprint_schemas import (
    DEFAULT_CONFIG,
    WORKFLOW_SUMMARIES,
    WORKFLOWS,
    WorkflowCreate,
    WorkflowRead,
    WorkflowSummary,
    WorkflowUpdate,
    blueprint_columns,
)

router = Router("/workflows", "Workflows")
READ, WRITE = requires("workflows:read"), requires("workflows:write")
Blueprints = Annotated[ProjectRows[Blueprint, WorkflowRead], project_rows(WORKFLOWS)]
Summaries = Annotated[ProjectRows[Blueprint, WorkflowSummary], project_rows(WORKFLOW_SUMMARIES)]


class WorkflowList(SearchQuery):
    """Workflows that fit every filter that is given."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    """How many workflows a page has at most."""
    search: Search | None = None
    """Workflows whose name contains this, in upper or lower case."""


@router.get("", READ, name="list_workflows_legacy")
@router.get("/list", READ)
async def list_workflows(
    summaries: Summaries, window: Annotated[WorkflowList, Query()]
) -> ItemPage[WorkflowSummary]:
    """List the project's workflows, newest first, with the tools and models that do their steps."""
    return await summaries.search(window)


@router.get("/get", READ)
async def get_workflow(id: str, blueprints: Blueprints) -> Item[WorkflowRead]:
    """Get one workflow with its steps and configuration."""
    return blueprints.item(id)


@router.post("/create", WRITE, creates=True)
async def create_workflow(
    body: WorkflowCreate, blueprints: Blueprints, session: DbSession
) -> Item[WorkflowRead]:
    """Create a workflow.

    Its name is enough: without steps it designs and checks until the check passes, at most three times.
    The scripts that its steps name have to exist.
    """
    blueprint = blueprints.add(**_documents(body, DEFAULT_CONFIG))
    await require_assets(session, blueprint.project_id, script_references(blueprint.steps))
    await session.flush()
    session.add(blueprint.as_version(blueprints.unit.key.member_id))
    return blueprints.item(blueprint.id)


@router.post("/update", WRITE)
async def update_workflow(
    body: WorkflowUpdate, blueprints: Blueprints, session: DbSession
) -> Item[WorkflowRead]:
    """Change a workflow, which makes a new version; runs in flight keep the one they started with."""
    blueprint = await blueprints.get(body.workflow_id, lock=True)
    version = blueprint.change(blueprints.unit.key.member_id, **_documents(body, blueprint.config))
    if "pipeline_steps" in body.model_fields_set:
        await require_assets(session, blueprint.project_id, script_references(blueprint.steps))
    session.add(version)
    return blueprints.item(blueprint.id)


def _documents(body: WorkflowCreate | WorkflowUpdate, config: JsonObject) -> dict[str, object]:
    try:
        return blueprint_columns(body, config)
    except ValueError as error:
        raise invalid_field(error, "pipelineSteps") from None
