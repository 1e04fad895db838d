"""Session questions on the wire."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from kit.schemas import Body, Read, UtcTimestamp
from models.issues.answering_session_schemas import ANSWERING
from models.issues.session_question import QuestionStatus, SessionQuestion
from models.json_view import JsonView, example

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
    def _fits_the_status(cls, correction: str | None, info: ValidationInfo) -> str | None:
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
