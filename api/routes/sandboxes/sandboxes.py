"""Sandboxes, what happened in them, and what was said in them."""

from typing import Annotated, Literal

from fastapi import Query

from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from kit.schemas import QueryFlag
from models.sandboxes.sandbox import Sandbox, SandboxStatus
from models.sandboxes.sandbox_schemas import (
    BRIEF_MESSAGES,
    MESSAGES,
    SANDBOX_EVENTS,
    SANDBOXES,
    MessageRead,
    SandboxEventRead,
    SandboxRead,
)

router = Router("/sandboxes", "Sandboxes")
READ = requires("sandboxes:read")
Sandboxes = Annotated[ProjectRows[Sandbox, SandboxRead], project_rows(SANDBOXES)]


class SandboxList(PageQuery):
    run_id: str | None = None
    """Only sandboxes of this run."""
    status: SandboxStatus | None = None
    """Only sandboxes of this status."""


class SandboxEventList(PageQuery):
    id: str
    """The sandbox's id."""
    order: Literal["asc", "desc"] = "asc"
    """`asc`: oldest first; `desc`: newest first."""


class MessageList(SandboxEventList):
    include_transcript_events: QueryFlag = True
    """Whether messages hold their blocks and the results of tool calls."""


@router.get("", READ, name="list_sandboxes_legacy")
@router.get("/list", READ)
async def list_sandboxes(
    sandboxes: Sandboxes, window: Annotated[SandboxList, Query()]
) -> ItemPage[SandboxRead]:
    """List the project's sandboxes, or those of one run, newest first."""
    return sandboxes.page(window)


@router.get("/get", READ)
async def get_sandbox(id: str, sandboxes: Sandboxes) -> Item[SandboxRead]:
    """Get one sandbox."""
    return sandboxes.item(id)


@router.get("/events", READ)
async def list_sandbox_events(
    sandboxes: Sandboxes, window: Annotated[SandboxEventList, Query()]
) -> ItemPage[SandboxEventRead]:
    """List what happened to a sandbox: created, cloned, installed, scripts and agents run; oldest first."""
    sandbox = await sandboxes.get(window.id)
    return ItemPage(SANDBOX_EVENTS, {"sandbox_id": sandbox.id}, window, descending=window.order == "desc")


@router.get("/messages", READ)
async def list_sandbox_messages(
    sandboxes: Sandboxes, window: Annotated[MessageList, Query()]
) -> ItemPage[MessageRead]:
    """List the conversations with the agents in a sandbox, oldest message first."""
    sandbox = await sandboxes.get(window.id)
    view = MESSAGES if window.include_transcript_events else BRIEF_MESSAGES
    return ItemPage(view, {"sandbox_id": sandbox.id}, window, descending=window.order == "desc")
