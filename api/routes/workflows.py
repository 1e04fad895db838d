"""Workflows: the blueprints that users edit."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.answers import Many, One
from api.errors import refused
from api.keys import needs
from api.pages import Window
from api.router import Router
from api.rows import Rows, rows
from api.workflows import Session
from models.base import JsonObject, now
from models.blueprint import Blueprint
from models.blueprint_wire import (
    DEFAULT_CONFIG,
    WORKFLOWS,
    WorkflowCreate,
    WorkflowRead,
    WorkflowUpdate,
    documents,
)

router = Router("/workflows", "Workflows")
READ, WRITE = needs("workflows:read"), needs("workflows:write")
Blueprints = Annotated[Rows[Blueprint, WorkflowRead], rows(WORKFLOWS)]


class WorkflowList(Window):
    limit: Annotated[int, Field(ge=1, le=100)] = 50


@router.get("", READ, name="list_workflows_legacy")
@router.get("/list", READ)
async def list_workflows(
    blueprints: Blueprints, window: Annotated[WorkflowList, Query()]
) -> Many[WorkflowRead]:
    """List the project's workflows, newest first."""
    return blueprints.page(window)


@router.get("/get", READ)
async def get_workflow(id: str, blueprints: Blueprints) -> One[WorkflowRead]:
    """Get one workflow with its steps and configuration."""
    return blueprints.one(id)


@router.post("/create", WRITE, creates=True)
async def create_workflow(
    body: WorkflowCreate, blueprints: Blueprints, session: Session
) -> One[WorkflowRead]:
    """Create a workflow.

    Its name is enough: without steps it designs and checks until the check passes, at most three times.
    """
    blueprint = blueprints.add(**_documents(body, DEFAULT_CONFIG))
    await session.flush()
    session.add(blueprint.as_version())
    return blueprints.one(blueprint.id)


@router.post("/update", WRITE)
async def update_workflow(
    body: WorkflowUpdate, blueprints: Blueprints, session: Session
) -> One[WorkflowRead]:
    """Change a workflow, which makes a new version; runs in flight keep the one they started with."""
    blueprint = await blueprints.get(body.workflow_id, lock=True)
    changes = {"version": blueprint.version + 1, "updated_at": now()}
    blueprint.sqlmodel_update(_documents(body, blueprint.config) | changes)
    session.add(blueprint.as_version())
    return blueprints.one(blueprint.id)


def _documents(body: WorkflowCreate | WorkflowUpdate, config: JsonObject) -> dict[str, object]:
    try:
        return documents(body, config)
    except ValueError as error:
        raise refused(error, "pipelineSteps") from None
