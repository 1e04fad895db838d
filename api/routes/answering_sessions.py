"""Answering sessions: created and looked at."""

from typing import Annotated

from fastapi import Query
from sqlmodel import col, select

from api.answers import Many, One
from api.keys import needs
from api.pages import Window
from api.router import Router
from api.routes.issue_sessions import Sessions as IssueSessions
from api.rows import Rows, rows
from api.starting import hand_over
from api.workflows import Session, Workflows
from kit.errors import Conflict
from models.answering_session import AnsweringSession, AnsweringStatus
from models.answering_session_start import create_answering_session
from models.answering_session_wire import (
    ANSWERING_SESSIONS,
    AnsweringSessionCreate,
    AnsweringSessionRead,
)
from models.project import Project

router = Router("/answering-sessions", "Answering Sessions")
READ, WRITE = needs("issues:read"), needs("issues:write")
Sessions = Annotated[Rows[AnsweringSession, AnsweringSessionRead], rows(ANSWERING_SESSIONS)]


class AnsweringSessionList(Window):
    issue_session_id: str | None = None
    """Only those of this issue session."""
    status: AnsweringStatus | None = None
    """Only answering sessions of this status."""


@router.get("", READ)
async def list_answering_sessions(
    sessions: Sessions, window: Annotated[AnsweringSessionList, Query()]
) -> Many[AnsweringSessionRead]:
    """List the project's answering sessions, newest first."""
    return sessions.page(window)


@router.get("/{id}", READ)
async def get_answering_session(id: str, sessions: Sessions) -> One[AnsweringSessionRead]:
    """Get one answering session."""
    return sessions.one(id)


@router.post("", WRITE, creates=True)
async def create_session_for_answers(
    body: AnsweringSessionCreate,
    sessions: Sessions,
    scans: IssueSessions,
    session: Session,
    workflows: Workflows,
) -> One[AnsweringSessionRead]:
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
    hand_over(row, workflows)
    return sessions.one(row.id)
