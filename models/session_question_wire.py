"""Session questions on the wire."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from kit.wire import Body, Moment, Read
from models.answering_session_wire import ANSWERING
from models.session_question import QuestionStatus, SessionQuestion
from models.view import View, example

QUESTION = "sq_0198f2cbb1c27d3e8f4a5b6c7d8e9f0a"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]


class SessionQuestionRead(Read):
    """One question with the agent's assumption, the review, and the answer that came of it."""

    model_config = example(
        id=QUESTION, _id=QUESTION, answeringSessionId=ANSWERING, number=1,
        question="Should the dark mode preference persist across browser sessions?",
        assumption="Yes -- use localStorage to persist the preference indefinitely.", correction=None,
        status="pending", reviewedAt=None, reviewedBy=None, answer=None,
    )  # fmt: skip
    answering_session_id: str
    number: int
    question: str
    assumption: str
    correction: str | None
    status: QuestionStatus
    reviewed_at: Moment | None
    reviewed_by: str | None
    answer: str | None


class QuestionReview(Body):
    """`declined` needs a `correction`: it is the answer that the agent uses instead of its assumption."""

    model_config = example(status="declined", correction="No -- use a server-side cookie instead.")
    status: Literal["approved", "declined"]
    correction: Annotated[str, Field(max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _says_what_holds(self) -> Self:
        if self.status == "declined" and not (self.correction or "").strip():
            raise ValueError("correction: give the right answer when you decline the assumption")
        if self.status == "approved" and self.correction is not None:
            raise ValueError("correction: leave it out when you approve the assumption, or decline it")
        return self


class AssumptionUpdate(Body):
    model_config = example(assumption="Use localStorage with a 30-day expiry for guest users.")
    assumption: Text


SESSION_QUESTIONS = View(SessionQuestionRead, SessionQuestion, "Session question", keys=("number",))
