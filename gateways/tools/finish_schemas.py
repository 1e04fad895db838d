"""How an agent ends its session: the form of `finish` for every kind of session that ends by it."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.agent.session_kind import SessionKind

Line = Annotated[str, Field(min_length=1, max_length=4_000)]


class ToolInput(BaseModel):
    """What a model sends with a call."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Finish(ToolInput):
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
    score: int = Field(ge=0, le=100, description="0 is useless, 100 could not be better.")
    reasons: list[Line] = Field(
        min_length=1, max_length=20, description="What decided the score, with evidence: one reason each."
    )


class RankedBranch(ToolInput):
    branch: str = Field(min_length=1, max_length=250, description="The branch's name, as the task names it.")
    score: int = Field(ge=0, le=100, description="0 is useless, 100 could not be better.")
    reasons: list[Line] = Field(min_length=1, max_length=20, description="What decided it, with evidence.")


class JudgeFinish(Finish):
    ranking: list[RankedBranch] = Field(
        min_length=2, max_length=10, description="Every alternative once, the best first."
    )

    @field_validator("ranking")
    @classmethod
    def _is_in_order(cls, ranking: list[RankedBranch]) -> list[RankedBranch]:
        if len({each.branch for each in ranking}) < len(ranking):
            raise ValueError("names a branch twice")
        scores = [each.score for each in ranking]
        if scores != sorted(scores, reverse=True):
            raise ValueError("must have the best first: order it by score")
        return ranking

    @property
    def score(self) -> int:
        """Of the best alternative."""
        return self.ranking[0].score

    @property
    def reasons(self) -> list[str]:
        return self.ranking[0].reasons


class ScoutFinish(Finish):
    questions: list[Line] = Field(
        [], max_length=50, description="What only the people of the project can tell."
    )
    assumptions: list[Line] = Field([], max_length=50, description="What you took for granted on the way.")


class Question(ToolInput):
    question: Line = Field(description="One thing that has to be known before the work begins.")
    assumption: Line = Field(description="The answer that you would work with if nobody gave another.")


class AskerFinish(Finish):
    questions: list[Question] = Field(
        max_length=50, description="The most important first; none if everything is clear."
    )


class Answer(ToolInput):
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


FINISH_SCHEMAS: Final[dict[SessionKind, type[Finish]]] = {
    SessionKind.worker: Finish,
    SessionKind.checker: CheckerFinish,
    SessionKind.evaluator: EvaluatorFinish,
    SessionKind.judge: JudgeFinish,
    SessionKind.scout: ScoutFinish,
    SessionKind.asker: AskerFinish,
    SessionKind.answerer: AnswererFinish,
    SessionKind.extractor: Finish,
}
FINISH_HINTS: Final[dict[SessionKind, str]] = {
    SessionKind.worker: 'Send {"summary": "…"}.',
    SessionKind.checker: (
        'Send {"summary": "…", "verdict": "pass"}, or "fail" and what has to change as "feedback".'
    ),
    SessionKind.evaluator: (
        'Send {"summary": "…", "score": 80, "reasons": ["…"]}, the score a whole number from 0 to 100.'
    ),
    SessionKind.judge: (
        'Send {"summary": "…", "ranking": [{"branch": "…", "score": 80, "reasons": ["…"]}, …]}, every '
        "alternative once, the best first."
    ),
    SessionKind.scout: 'Send {"summary": "…", "questions": ["…"], "assumptions": ["…"]}; lists may be empty.',
    SessionKind.asker: (
        'Send {"summary": "…", "questions": [{"question": "…", "assumption": "…"}]}; the list may be empty.'
    ),
    SessionKind.answerer: 'Send {"summary": "…", "answers": [{"number": 1, "answer": "…"}]}.',
    SessionKind.extractor: 'Send {"summary": "…"}.',
}
