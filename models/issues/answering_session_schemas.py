"""Answering sessions and their questions on the wire."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic.config import JsonDict

from kit.schemas import Body, Read, UsdAmount, UtcTimestamp
from models.issues.answering_session import AnsweringSession, AnsweringStatus
from models.issues.session_question import QuestionStatus, SessionQuestion
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


QUESTION = "sq_0198f2cbb1c27d3e8f4a5b6c7d8e9f0a"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]


class SessionQuestionRead(Read):
    """One question with the agent's assumption, the review, and the answer that came of it."""

    model_config = example(
        id=QUESTION,
        _id=QUESTION,
        answeringSessionId=ANSWERING,
        number=1,
        question="Should the dark mode preference persist across browser sessions?",
        assumption="Yes -- use localStorage to persist the preference indefinitely.",
        correction=None,
        status="pending",
        reviewedAt=None,
        reviewedBy=None,
        answer=None,
    )
    answering_session_id: str
    """The answering session that it belongs to."""
    number: int
    """Its number in the session, from 1, the most important first."""
    question: str
    """What the agent wants to know."""
    assumption: str
    """The answer that the agent works with unless it is declined."""
    correction: str | None
    """The right answer, given when the assumption was declined; null otherwise."""
    status: QuestionStatus
    """Whether it was reviewed, and how."""
    reviewed_at: UtcTimestamp | None
    """When it was reviewed; null until then."""
    reviewed_by: str | None
    """The member who reviewed it; null until then."""
    answer: str | None
    """What those who do the work are given, written by the agent after the reviews; null until then."""


class QuestionReview(Body):
    """`declined` needs a `correction`: it is the answer that the agent uses instead of its assumption."""

    model_config = example(status="declined", correction="No -- use a server-side cookie instead.")
    status: Literal["approved", "declined"]
    """Whether the assumption holds."""
    correction: Annotated[str | None, Field(max_length=10_000, validate_default=True)] = None
    """The right answer, at most 10,000 characters; only with `declined`, which needs it."""

    @field_validator("correction")
    @classmethod
    def _require_correction(cls, correction: str | None, info: ValidationInfo) -> str | None:
        status = info.data.get("status")
        if status == "declined" and not (correction or "").strip():
            raise ValueError("give the right answer when you decline the assumption")
        if status == "approved" and correction is not None:
            raise ValueError("leave it out when you approve the assumption, or decline it")
        return correction


class AssumptionUpdate(Body):
    """What the agent shall assume instead."""

    model_config = example(assumption="Use localStorage with a 30-day expiry for guest users.")
    assumption: Text
    """The new assumption, at most 10,000 characters."""


SESSION_QUESTIONS = JsonView(SessionQuestionRead, SessionQuestion, "Session question", keys=("number",))
