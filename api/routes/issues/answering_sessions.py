"""Answering sessions: created and looked at."""

from typing import Annotated

from fastapi import Query
from sqlmodel import col, select

from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.issues.issue_sessions import Sessions as IssueSessions
from kit.errors import Conflict
from models.issues.answering_session import AnsweringSession, AnsweringStatus
from models.issues.answering_session_schemas import (
    ANSWERING_SESSIONS,
    AnsweringSessionCreate,
    AnsweringSessionRead,
)
from models.issues.answering_session_start import create_answering_session
from models.projects.project import Project

router = Router("/answering-sessions", "Answering Sessions")
READ, WRITE = requires("issues:read"), requires("issues:write")
Sessions = Annotated[ProjectRows[AnsweringSession, AnsweringSessionRead], project_rows(ANSWERING_SESSIONS)]


class AnsweringSessionList(PageQuery):
    issue_session_id: str | None = None
    """Only those of this issue session."""
    status: AnsweringStatus | None = None
    """Only answering sessions of this status."""


@router.get("", READ)
async def list_answering_sessions(
    sessions: Sessions, window: Annotated[AnsweringSessionList, Query()]
) -> ItemPage[AnsweringSessionRead]:
    """List the project's answering sessions, newest first."""
    return sessions.page(window)


@router.get("/{id}", READ)
async def get_answering_session(id: str, sessions: Sessions) -> Item[AnsweringSessionRead]:
    """Get one answering session."""
    return sessions.item(id)


@router.post("", WRITE, creates=True)
async def create_session_for_answers(
    body: AnsweringSessionCreate,
    sessions: Sessions,
    scans: IssueSessions,
    session: DbSession,
    workflows: AfterCommitDep,
) -> Item[AnsweringSessionRead]:
    """Create an answering session for an issue session: it asks, waits for reviews, and answers.

    It begins once the issue session has ended and is `pending` until its questions are there. An issue
    session has one answering session at a time.
    """
    scan = await scans.get(body.issue_session_id, lock=True)
    unfinished = select(AnsweringSession).where(
        col(AnsweringSession.issue_session_id) == scan.id, col(AnsweringSession.completed_at).is_(None)
    )
    if other := (await session.exec(unfinished)).first():
        raise Conflict(f"The issue session has an answering session at work: {other.id}.")
    project = await session.get_one(Project, scan.project_id)
    model = sessions.unit.api.settings.default_model
    row = await create_answering_session(session, project, scan, default_model=model)
    start_after_commit(row, workflows)
    return sessions.item(row.id)
