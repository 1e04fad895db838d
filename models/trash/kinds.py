"""The kinds of objects that have a trash, one entry each: everything about it that differs by kind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import func, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.assets.asset import Asset
from models.base import now
from models.blueprints.blueprint import Blueprint
from models.blueprints.persona import Persona
from models.issues.answering_session import AnsweringSession
from models.issues.issue import update_issues_of_run
from models.issues.issue_session import IssueSession
from models.jobs.job import Job
from models.learnings.learning import Learning
from models.projects.project import Role
from models.runs.run import Run
from models.sandboxes.sandbox import Sandbox
from models.trash import rules
from models.trash.row_removal import remove_context, remove_job, remove_row, remove_sandbox
from models.trash.trashable import Trashable

T = TypeVar("T", bound=Trashable)


class TrashType(StrEnum):
    """The kinds as the wire names them."""

    run = "run"
    sandbox = "sandbox"
    workflow = "workflow"
    persona = "persona"
    learning = "learning"
    issue_session = "issueSession"
    answering_session = "answeringSession"
    context = "context"


async def _do_nothing(session: AsyncSession, row: Trashable) -> None:
    """Nobody has to learn of it."""


async def _no_dependants(session: AsyncSession, row: Trashable) -> list[Trashable]:
    """Nothing goes with it."""
    return []


@dataclass(frozen=True)
class TrashKind(Generic[T]):
    """What the trash has to know of one kind."""

    entity: TrashType
    noun: str
    table: type[T]
    prefix: str
    scope: str
    """What a key needs to move one into the trash, out of it, and to delete it for good."""
    role: Role = Role.member
    """The least role of the key's member to delete one."""
    name: str = "name"
    """SQL of the name that its entry shows."""
    condition: str | None = None
    """SQL that tells its rows from others of the same table."""
    require_unused: Callable[[AsyncSession, T], Awaitable[None]] = rules.allow_always
    """Conflict while something at work needs it."""
    on_moved: Callable[[AsyncSession, T], Awaitable[None]] = _do_nothing
    """Tell those who follow it that it went into the trash or came out of it."""
    hide_dependants: Callable[[AsyncSession, T], Awaitable[None]] = _do_nothing
    """Hide what goes with its rows, as soon as it is deleted for good."""
    dependants: Callable[[AsyncSession, T], Awaitable[list[Trashable]]] = _no_dependants
    """What is deleted for good together with it, by a workflow of its own."""
    remove: Callable[[AsyncSession, T], Awaitable[None]] = remove_row
    """Delete its rows, in the caller's transaction."""


async def _hide_sandboxes(session: AsyncSession, job: Job) -> None:
    """And with them the conversations of the job."""
    moment = now()
    of_job = update(Sandbox).where(col(Sandbox.job_id) == job.id, col(Sandbox.purged_at).is_(None))
    hidden = {"deleted_at": func.coalesce(col(Sandbox.deleted_at), moment), "purged_at": moment}
    await session.execute(of_job.values(hidden))


async def _answering_sessions_of(session: AsyncSession, scan: IssueSession) -> list[Trashable]:
    """They are about nothing without what the scan found."""
    of_scan = select(AnsweringSession).where(
        col(AnsweringSession.issue_session_id) == scan.id, col(AnsweringSession.purged_at).is_(None)
    )
    return list((await session.execute(of_scan.with_for_update())).scalars())


RUN: Final = TrashKind(
    TrashType.run,
    "run",
    Run,
    "r",
    "runs:write",
    require_unused=rules.require_run_finished,
    on_moved=update_issues_of_run,
    hide_dependants=_hide_sandboxes,
    remove=remove_job,
)
SANDBOX: Final = TrashKind(
    TrashType.sandbox,
    "sandbox",
    Sandbox,
    "s",
    "sandboxes:write",
    require_unused=rules.require_sandbox_idle,
    remove=remove_sandbox,
)
WORKFLOW: Final = TrashKind(
    TrashType.workflow,
    "workflow",
    Blueprint,
    "wf",
    "workflows:write",
    Role.admin,
    require_unused=rules.require_blueprint_unused,
)
PERSONA: Final[TrashKind[Persona]] = TrashKind(TrashType.persona, "persona", Persona, "per", "personas:write")
LEARNING: Final[TrashKind[Learning]] = TrashKind(
    TrashType.learning, "learning", Learning, "lrn", "learnings:write", name="description"
)
ISSUE_SESSION: Final = TrashKind(
    TrashType.issue_session,
    "issue session",
    IssueSession,
    "is",
    "issues:write",
    require_unused=rules.require_issue_session_finished,
    hide_dependants=_hide_sandboxes,
    dependants=_answering_sessions_of,
    remove=remove_job,
)
ANSWERING_SESSION: Final = TrashKind(
    TrashType.answering_session,
    "answering session",
    AnsweringSession,
    "as",
    "issues:write",
    require_unused=rules.require_answering_session_finished,
    hide_dependants=_hide_sandboxes,
    remove=remove_job,
)
CONTEXT: Final = TrashKind(
    TrashType.context,
    "context",
    Asset,
    "ctx",
    "assets:write",
    condition="kind = 'context'",
    remove=remove_context,
)
TRASH_KINDS: Final[dict[TrashType, TrashKind[Any]]] = {
    kind.entity: kind
    for kind in (RUN, SANDBOX, WORKFLOW, PERSONA, LEARNING, ISSUE_SESSION, ANSWERING_SESSION, CONTEXT)
}


def trash_kind_of(row: Trashable) -> TrashKind[Any]:
    """By the prefix of its id."""
    prefix = row.id.partition("_")[0]
    return next(kind for kind in TRASH_KINDS.values() if kind.prefix == prefix)
