"""Learnings: what an agent should do differently next time, found in a run's transcript or written by hand.

pending → approved | rejected        a person decides, as often as they like; new words need a new approval
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ARRAY, Index, Text
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Table, Timestamp, enum_column, now
from models.trash.trashable import Trashable, trash_indexes


class LearningStatus(StrEnum):
    """`pending` until somebody decides; `approved` learnings go into the next version, `rejected` ones do
    not."""

    pending = "pending"
    approved = "approved"
    rejected = "rejected"


class LearningSeverity(StrEnum):
    """How bad it is when agents do not know it, from `low` to `critical`."""

    low = "low"
    medium = "medium"
    high = "high"
    critical = "critical"


class LearningSource(StrEnum):
    """Whether a person wrote it (`manual`) or an agent found it in the transcript of a run (`extracted`)."""

    manual = "manual"
    extracted = "extracted"


CONTENT_FIELDS: Final = ("description", "trigger", "correct_behavior")
"""The fields that an approval is of."""


class Learning(Trashable, table=True):
    __table_args__ = (
        *trash_indexes("learning"),
        Index("learning_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "learning_approved",
            "project_id",
            postgresql_where="status = 'approved' AND deleted_at IS NULL",
        ),
    )
    id: str = Field(default_factory=prefixed("lrn"), primary_key=True)
    updated_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    description: str
    trigger: str | None = None
    correct_behavior: str | None = None
    severity: LearningSeverity = Field(default=LearningSeverity.medium, sa_type=enum_column(LearningSeverity))
    category: str | None = None
    applicable_roles: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    """Roles of steps; none of them: every role."""
    status: LearningStatus = Field(default=LearningStatus.pending, sa_type=enum_column(LearningStatus))
    source: LearningSource = Field(default=LearningSource.manual, sa_type=enum_column(LearningSource))
    occurrences: int = 1
    """How many runs showed it; written by hand, it counts once by itself."""
    run_id: str | None = Field(default=None, foreign_key="run.id", index=True, ondelete="SET NULL")
    """The run that showed it first."""
    sandbox_id: str | None = Field(default=None, foreign_key="sandbox.id", index=True, ondelete="SET NULL")
    """The sandbox of that run."""
    approved_at: datetime | None = Field(default=None, sa_type=Timestamp)
    approved_by: str | None = None
    """The member."""

    def set_status(self, status: LearningStatus, member_id: str) -> bool:
        """Approve it, reject it, or lay it open again; False when that changes nothing."""
        if self.status is status:
            return False
        self.status, self.updated_at = status, now()
        approved = status is LearningStatus.approved
        self.approved_at = self.updated_at if approved else None
        self.approved_by = member_id if approved else None
        return True

    def update_content(self, **fields: object) -> None:
        """Change its content.  An approval is of the words: when they change, it is pending again."""
        changed = {name: value for name, value in fields.items() if getattr(self, name) != value}
        if not changed:
            return
        self.sqlmodel_update({**changed, "updated_at": now()})
        if self.status is LearningStatus.approved and changed.keys() & set(CONTENT_FIELDS):
            self.status, self.approved_at, self.approved_by = LearningStatus.pending, None, None

    def add_occurrence(self) -> None:
        """Another run showed it."""
        self.occurrences, self.updated_at = self.occurrences + 1, now()


class LearningOccurrence(Table, table=True):
    """A place where a learning showed: once a run, however often its agent reports it."""

    __table_args__ = (
        Index("learning_occurrence_once_a_run", "learning_id", "run_id", unique=True),
        Index("learning_occurrence_by_source_key", "source_key", unique=True),
    )
    id: str = Field(default_factory=prefixed("lo"), primary_key=True)
    learning_id: str = Field(foreign_key="learning.id", ondelete="CASCADE")
    run_id: str | None = Field(default=None, foreign_key="run.id", index=True, ondelete="SET NULL")
    sandbox_id: str | None = Field(default=None, foreign_key="sandbox.id", index=True, ondelete="SET NULL")
    source_key: str | None = None
    """Names the cause (a session's tool call), so that one call counts once."""
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
