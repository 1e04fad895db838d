"""Session questions: what an agent wants to know, what it assumes, and what people say to it.

pending → approved | declined        (final; an assumption can be changed until then)
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from kit.errors import Conflict
from kit.ids import prefixed
from models.base import Record, Timestamp, enum_column, now


class QuestionStatus(StrEnum):
    """`pending` until it is reviewed; then `approved` (the assumption holds) or `declined` (the correction
    holds), for good."""

    pending = "pending"
    approved = "approved"
    declined = "declined"


PENDING_CONDITION: Final = "status = 'pending'"
"""Of questions, for their index and for statements that use it."""


class SessionQuestion(Record, table=True):
    __table_args__ = (
        UniqueConstraint("answering_session_id", "number"),
        Index("question_unread", "project_id", postgresql_where=PENDING_CONDITION),
    )
    id: str = Field(default_factory=prefixed("sq"), primary_key=True)
    answering_session_id: str = Field(foreign_key="answering_session.id", ondelete="CASCADE")
    number: int
    """Counts from 1, the most important first."""
    question: str
    assumption: str
    correction: str | None = None
    status: QuestionStatus = Field(default=QuestionStatus.pending, sa_type=enum_column(QuestionStatus))
    reviewed_at: datetime | None = Field(default=None, sa_type=Timestamp)
    reviewed_by: str | None = None
    """The member who did."""
    answer: str | None = None
    """What those who do the work are told, written by the agent after the reviews."""

    @property
    def decision(self) -> str:
        """What holds: the correction, or else the assumption."""
        return self.correction or self.assumption

    def review(self, status: QuestionStatus, correction: str | None, by: str) -> bool:
        """Decide it; False when it was decided the same way before, Conflict when in another."""
        if self.status is not QuestionStatus.pending:
            if (self.status, self.correction) == (status, correction):
                return False
            raise Conflict(f"The question was {self.status} before: a review is final.")
        self.status, self.correction = status, correction
        self.reviewed_at, self.reviewed_by = now(), by
        return True

    def set_assumption(self, assumption: str) -> None:
        if self.status is not QuestionStatus.pending:
            raise Conflict(f"The question is {self.status}: its assumption cannot change any more.")
        self.assumption = assumption
