"""Answering sessions on the wire."""

from typing import Literal

from pydantic.config import JsonDict

from kit.wire import Body, Moment, Money, Read
from models.answering_session import AnsweringSession, AnsweringStatus
from models.run_step_wire import TOKENS, TokenUsage
from models.run_wire import RunError, Waiting
from models.view import View, example, pairs

ANSWERING = "as_0198f2cab1c27d3e8f4a5b6c7d8e9f0a"
SCAN = "is_0198f2c9b1c27d3e8f4a5b6c7d8e9f0a"
PROJECT = "prj_0198f2c0b1c27d3e8f4a5b6c7d8e9f0a"
_SESSION: JsonDict = {
    "id": ANSWERING, "_id": ANSWERING, "issueSessionId": SCAN, "projectId": PROJECT, "status": "active",
    "questionCount": 5, "reviewedCount": 3, "currentStepProgress": None, "waiting": None, "costUsd": 0.12,
    "tokenUsage": {"input": 5120, "output": 940, "cacheRead": 20480, "cacheWrite": 2048}, "error": None,
    "createdAt": "2026-01-15T10:00:00.000Z", "completedAt": None,
}  # fmt: skip


class AnsweringSessionRead(Read):
    """Questions about what an issue session found, their reviews, and the answers for the runs."""

    model_config = example(**_SESSION)
    issue_session_id: str
    project_id: str
    status: AnsweringStatus
    question_count: int
    reviewed_count: int
    current_step_progress: str | None
    waiting: Waiting | None
    cost_usd: Money
    token_usage: TokenUsage
    error: RunError | None
    created_at: Moment
    completed_at: Moment | None


class AnsweringSessionCreate(Body):
    model_config = example(issueSessionId=SCAN)
    issue_session_id: str


class AnsweringStatusUpdate(Body):
    """A status to change to; `pending`, `active` and `completed` are only ever reached by themselves."""

    model_config = example(status="reviewed")
    status: Literal["pending", "active", "reviewed", "completed", "archived"]


_COLUMNS = {
    "token_usage": TOKENS,
    "error": f"CASE WHEN error_code IS NOT NULL THEN {pairs(code='error_code', message='error_message')} END",
}
ANSWERING_SESSIONS = View(AnsweringSessionRead, AnsweringSession, "Answering session", shown=_COLUMNS)
