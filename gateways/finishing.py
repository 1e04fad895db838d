"""How an agent ends its session: the form of `finish` for every kind of session."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.session_kind import SessionKind

Line = Annotated[str, Field(min_length=1, max_length=4_000)]


class Input(BaseModel):
    """What a model sends with a call."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Finish(Input):
    """The work is done; this ends the session."""

    summary: str = Field(
        description="What was done and how it was checked, in a few sentences for those who will review it."
    )

    @field_validator("summary")
    @classmethod
    def _says_something(cls, summary: str) -> str:
        if not summary.strip():
            raise ValueError("must not be blank")
        return summary


class CheckerFinish(Finish):
    verdict: Literal["pass", "fail"] = Field(description="`pass` only if nothing has to change.")
    feedback: str | None = Field(
        None, description="Required when the verdict is `fail`: what has to change, exactly and completely."
    )

    @model_validator(mode="after")
    def _explains_a_fail(self) -> Self:
        if self.verdict == "fail" and not (self.feedback or "").strip():
            raise ValueError("`feedback` is required when the verdict is `fail`")
        return self


class EvaluatorFinish(Finish):
    score: float = Field(ge=0, le=1, description="0 is useless, 1 could not be better.")


class ScoutFinish(Finish):
    questions: list[Line] = Field(
        [], max_length=50, description="What only the people of the project can tell."
    )
    assumptions: list[Line] = Field([], max_length=50, description="What you took for granted on the way.")


class Question(Input):
    question: Line = Field(description="One thing that has to be known before the work begins.")
    assumption: Line = Field(description="The answer that you would work with if nobody gave another.")


class AskerFinish(Finish):
    questions: list[Question] = Field(
        max_length=50, description="The most important first; none if everything is clear."
    )


class Answer(Input):
    number: int = Field(ge=1, description="Of the question.")
    answer: Line = Field(description="What those who do the work are told, whole in itself.")


class AnswererFinish(Finish):
    answers: list[Answer] = Field(max_length=50, description="One for every question.")

    @field_validator("answers")
    @classmethod
    def _one_each(cls, answers: list[Answer]) -> list[Answer]:
        if len({each.number for each in answers}) < len(answers):
            raise ValueError("gives two answers to one question")
        return answers


FORMS: Final[dict[SessionKind, type[Finish]]] = {
    SessionKind.worker: Finish,
    SessionKind.checker: CheckerFinish,
    SessionKind.evaluator: EvaluatorFinish,
    SessionKind.scout: ScoutFinish,
    SessionKind.asker: AskerFinish,
    SessionKind.answerer: AnswererFinish,
}
HOW_TO_FINISH: Final[dict[SessionKind, str]] = {
    SessionKind.worker: 'Send {"summary": "…"}.',
    SessionKind.checker: (
        'Send {"summary": "…", "verdict": "pass"}, or "fail" and what has to change as "feedback".'
    ),
    SessionKind.evaluator: 'Send {"summary": "…", "score": 0.8}, the score between 0 and 1.',
    SessionKind.scout: 'Send {"summary": "…", "questions": ["…"], "assumptions": ["…"]}; lists may be empty.',
    SessionKind.asker: (
        'Send {"summary": "…", "questions": [{"question": "…", "assumption": "…"}]}; the list may be empty.'
    ),
    SessionKind.answerer: 'Send {"summary": "…", "answers": [{"number": 1, "answer": "…"}]}.',
}
