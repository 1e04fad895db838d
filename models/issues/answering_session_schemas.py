"""Answering sessions on the wire."""

from typing import Literal

from pydantic.config import JsonDict

from kit.schemas import Body, Read, UsdAmount, UtcTimestamp
from models.issues.answering_session import AnsweringSession, AnsweringStatus
from models.json_view import JsonView, example, json_object_sql
from models.runs.run_schemas import RunError, Waiting
from models.runs.run_step_schemas import TOKENS, TokenUsage

ANSWERING = "as_0198f2cab1c27d3e8f4a5b6c7d8e9f0a"
SCAN = "is_0198f2c9b1c27d3e8f4a5b6c7d8e9f0a"
PROJECT = "prj_0198f2c0b1c27d3e8f4a5b6c7d8e9f0a"
_SESSION: JsonDict = {
    "id": ANSWERING,
    "_id": ANSWERING,
    "issueSessionId": SCAN,
    "projectId": PROJECT,
    "status": "active",
    "questionCount": 5,
    "reviewedCount": 3,
    "currentStepProgress": None,
    "waiting": None,
    "costUsd": 0.12,
    "tokenUsage": {"input": 5120, "output": 940, "cacheRead": 20480, "cacheWrite": 2048},
    "error": None,
    "createdAt": "2026-01-15T10:00:00.000Z",
    "completedAt": None,
}


class AnsweringSessionRead(Read):
    """Questions about what an issue session found, their reviews, and the answers for the runs."""

    model_config = example(**_SESSION)
    issue_session_id: str
    """The issue session whose findings it asks about."""
    project_id: str
    """The project that it belongs to."""
    status: AnsweringStatus
    """How far it is."""
    question_count: int
    """How many questions its agent asked; 0 until they are there."""
    reviewed_count: int
    """How many of its questions people have reviewed."""
    current_step_progress: str | None
    """What its agent did last; null before it begins and once the session has ended."""
    waiting: Waiting | None
    """What holds it up just now; null while nothing does."""
    cost_usd: UsdAmount
    """What its models have cost so far, in US dollars."""
    token_usage: TokenUsage
    """The tokens that its agent used so far."""
    error: RunError | None
    """Why it failed, or that it was archived while at work; null otherwise."""
    created_at: UtcTimestamp
    """When it was created."""
    completed_at: UtcTimestamp | None
    """When it ended, whatever came of it; null until then."""


class AnsweringSessionCreate(Body):
    """What a client says to create an answering session."""

    model_config = example(issueSessionId=SCAN)
    issue_session_id: str
    """The issue session to ask about; it may have one unfinished answering session at a time."""


class AnsweringStatusUpdate(Body):
    """A status to change to; `pending`, `active` and `completed` are only ever reached by themselves."""

    model_config = example(status="reviewed")
    status: Literal["pending", "active", "reviewed", "completed", "archived"]
    """The status that it shall have: `reviewed` or `archived`; any other one that it does not have already is
    refused with 409."""


_COLUMNS = {
    "token_usage": TOKENS,
    "error": (
        "CASE WHEN error_code IS NOT NULL"
        f" THEN {json_object_sql(code='error_code', message='error_message')} END"
    ),
}
ANSWERING_SESSIONS = JsonView(AnsweringSessionRead, AnsweringSession, "Answering session", shown=_COLUMNS)
