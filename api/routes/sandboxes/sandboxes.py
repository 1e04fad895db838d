"""Sandboxes, what happened in them, and what was said in them."""

from typing import Annotated, Literal

from fastapi import Query

from api.auth import needs
from api.http.pagination import Window
from api.http.responses import Many, One
from api.http.router import Router
from api.http.rows import Rows, rows
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
READ = needs("sandboxes:read")
Sandboxes = Annotated[Rows[Sandbox, SandboxRead], rows(SANDBOXES)]


class SandboxList(Window):
    run_id: str | None = None
    """Only sandboxes of this run."""
    status: SandboxStatus | None = None
    """Only sandboxes of this status."""


class SandboxEventList(Window):
    id: str
    """The sandbox's id."""
    order: Literal["asc", "desc"] = "asc"
    """`asc`: oldest first; `desc`: newest first."""


class MessageList(SandboxEventList):
    include_transcript_events: QueryFlag = True
    """Whether messages hold their blocks and the results of tool calls."""


@router.get("", READ, name="list_sandboxes_legacy")
@router.get("/list", READ)
async def list_sandboxes(sandboxes: Sandboxes, window: Annotated[SandboxList, Query()]) -> Many[SandboxRead]:
    """List the project's sandboxes, or those of one run, newest first."""
    return sandboxes.page(window)


@router.get("/get", READ)
async def get_sandbox(id: str, sandboxes: Sandboxes) -> One[SandboxRead]:
    """Get one sandbox."""
    return sandboxes.one(id)


@router.get("/events", READ)
async def list_sandbox_events(
    sandboxes: Sandboxes, window: Annotated[SandboxEventList, Query()]
) -> Many[SandboxEventRead]:
    """List what happened to a sandbox: created, cloned, installed, scripts and agents run; oldest first."""
    sandbox = await sandboxes.get(window.id)
    return Many(SANDBOX_EVENTS, {"sandbox_id": sandbox.id}, window, descending=window.order == "desc")


@router.get("/messages", READ)
async def list_sandbox_messages(
    sandboxes: Sandboxes, window: Annotated[MessageList, Query()]
) -> Many[MessageRead]:
    """List the conversations with the agents in a sandbox, oldest message first."""
    sandbox = await sandboxes.get(window.id)
    view = MESSAGES if window.include_transcript_events else BRIEF_MESSAGES
    return Many(view, {"sandbox_id": sandbox.id}, window, descending=window.order == "desc")
