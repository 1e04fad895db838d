"""Issue sessions: started, listed, cancelled."""

from typing import Annotated

from fastapi import Query

from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.auth import requires
from api.github.repository_fields import parse_repository_field
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from kit.errors import Conflict
from models.event import EventType, append_event
from models.issues.issue_session import IssueSession, IssueSessionStatus
from models.issues.issue_session_schemas import (
    ISSUE_SESSIONS,
    IssueSessionId,
    IssueSessionRead,
    IssueSessionRename,
    IssueSessionStartBody,
)
from models.issues.issue_session_start import create_issue_session
from models.projects.project import Project

router = Router("/issue-sessions", "Issue Sessions")
READ, WRITE = requires("issues:read"), requires("issues:write")
Sessions = Annotated[ProjectRows[IssueSession, IssueSessionRead], project_rows(ISSUE_SESSIONS)]


class IssueSessionList(PageQuery):
    status: IssueSessionStatus | None = None
    """Only issue sessions of this status."""


@router.get("/list", READ)
async def list_issue_sessions(
    sessions: Sessions, window: Annotated[IssueSessionList, Query()]
) -> ItemPage[IssueSessionRead]:
    """List the project's issue sessions, newest first."""
    return sessions.page(window)


@router.get("/get", READ)
async def get_issue_session(id: str, sessions: Sessions) -> Item[IssueSessionRead]:
    """Get one issue session."""
    return sessions.item(id)


@router.post("/start", WRITE, creates=True)
async def start_issue_session(
    body: IssueSessionStartBody, sessions: Sessions, session: DbSession, workflows: AfterCommitDep
) -> Item[IssueSessionRead]:
    """Start an issue session: an agent reads the project's repository and reports the issues it finds.

    Issues appear while it works. `active` as soon as Temporal has it, `pending` when it cannot be reached
    just now: it is then started later, without another request.
    """
    unit = sessions.unit
    settings = unit.api.settings
    project = await session.get_one(Project, unit.key.project_id)
    if project.github_repo_url is None:
        raise Conflict("The project has no repository: set githubRepoUrl with POST /project/update first.")
    row = await create_issue_session(
        session,
        project,
        body,
        repository_slug=parse_repository_field(project.github_repo_url, settings),
        repository_url=project.github_repo_url,
        default_model=settings.default_model,
    )
    start_after_commit(row, workflows)
    return sessions.item(row.id)


@router.post("/rename", WRITE)
async def rename_issue_session(body: IssueSessionRename, sessions: Sessions) -> Item[IssueSessionRead]:
    """Rename an issue session."""
    row = await sessions.get(body.session_id, lock=True)
    row.name = body.name
    return sessions.item(row.id)


@router.post("/cancel", WRITE)
async def cancel_issue_session(
    body: IssueSessionId, sessions: Sessions, session: DbSession, workflows: AfterCommitDep
) -> Item[IssueSessionRead]:
    """Cancel an issue session: its agent stops, its sandbox is removed, the issues found so far stay."""
    row = await sessions.get(body.session_id, lock=True)
    if row.is_finished:
        raise Conflict(f"The issue session is {row.status} and cannot be cancelled.")
    if row.status is IssueSessionStatus.pending:
        row.close(IssueSessionStatus.cancelled)
        append_event(session, row, EventType.issue_session_ended, {"status": row.status})
        workflows.cancel(row.id, certain=False)
    else:
        workflows.cancel(row.id)
    return sessions.item(row.id)
