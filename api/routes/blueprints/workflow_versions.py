"""What workflows said before, and what is done with one as a whole: reverted, copied, renamed."""

from typing import Annotated

from fastapi import Query
from sqlmodel import col, select

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.routes.blueprints.workflows import Blueprints
from kit.errors import Conflict, Invalid, NotFound
from models.assets.references import require_assets, script_references
from models.blueprints.blueprint import BlueprintVersion
from models.blueprints.blueprint_schemas import WorkflowRead
from models.blueprints.version_schemas import (
    WORKFLOW_VERSIONS,
    WorkflowDuplicate,
    WorkflowRename,
    WorkflowRevert,
    WorkflowVersionRead,
)

router = Router("/workflows", "Workflows")
READ, WRITE = requires("workflows:read"), requires("workflows:write")


class VersionList(PageQuery):
    """Of one workflow."""

    id: str
    """The workflow."""


@router.get("/versions", READ)
async def list_workflow_versions(
    blueprints: Blueprints, window: Annotated[VersionList, Query()]
) -> ItemPage[WorkflowVersionRead]:
    """List everything that a workflow ever said, newest version first, with who changed it."""
    blueprint = await blueprints.get(window.id)
    return ItemPage(WORKFLOW_VERSIONS, {"blueprint_id": blueprint.id}, window)


@router.post("/revert", WRITE)
async def revert_workflow(
    body: WorkflowRevert, blueprints: Blueprints, session: DbSession
) -> Item[WorkflowRead]:
    """Have a workflow say again what an old version says, which makes a new version.

    The scripts that its steps named then have to exist.
    """
    blueprint = await blueprints.get(body.workflow_id, lock=True)
    statement = select(BlueprintVersion).where(
        col(BlueprintVersion.blueprint_id) == blueprint.id, col(BlueprintVersion.version) == body.version
    )
    version = (await session.exec(statement)).one_or_none()
    if version is None:
        raise NotFound(f"The workflow has no version {body.version}.")
    reverted = blueprint.revert(blueprints.unit.key.member_id, version)
    try:
        await require_assets(session, blueprint.project_id, script_references(blueprint.steps))
    except Invalid as missing:
        raise Conflict(f"Version {version.version} cannot come back: {missing.message}") from None
    session.add(reverted)
    return blueprints.item(blueprint.id)


@router.post("/duplicate", WRITE, creates=True)
async def duplicate_workflow(
    body: WorkflowDuplicate, blueprints: Blueprints, session: DbSession
) -> Item[WorkflowRead]:
    """Copy a workflow as it is now; the copy begins with version 1."""
    copy = (await blueprints.get(body.workflow_id)).duplicate(body.name)
    session.add(copy)
    await session.flush()
    session.add(copy.as_version(blueprints.unit.key.member_id))
    return blueprints.item(copy.id)


@router.post("/rename", WRITE)
async def rename_workflow(
    body: WorkflowRename, blueprints: Blueprints, session: DbSession
) -> Item[WorkflowRead]:
    """Give a workflow another name, which makes a new version; runs keep the name that they started with."""
    blueprint = await blueprints.get(body.workflow_id, lock=True)
    session.add(blueprint.change(blueprints.unit.key.member_id, name=body.name))
    return blueprints.item(blueprint.id)
