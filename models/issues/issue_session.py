"""Issue sessions: an agent reads the project's repository and reports the issues that it finds.

pending → active ──→ completed | failed | cancelled        (final)
"""

from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Json, enum_column, now
from models.event import EventType
from models.jobs.job import Job
from models.trash.trashable import Trashable, trash_indexes


class IssueSessionStatus(StrEnum):
    """`pending` until Temporal has it, `active` while its agent looks for issues; `completed`, `failed` and
    `cancelled` are final."""

    pending = "pending"
    active = "active"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


class IssueSession(Trashable, Job, table=True):
    WAITING_EVENT, STARTED_EVENT = EventType.issue_session_waiting, EventType.issue_session_started

    __table_args__ = (
        *trash_indexes("issue_session"),
        Index("issue_session_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index("issue_session_of_status", "project_id", "status", "id", postgresql_where="deleted_at IS NULL"),
        Index("issue_session_pending", "status", postgresql_where="status = 'pending'"),
    )
    id: str = Field(default_factory=prefixed("is"), primary_key=True)
    status: IssueSessionStatus = Field(
        default=IssueSessionStatus.pending, sa_type=enum_column(IssueSessionStatus)
    )
    prompt: str
    template_id: str
    memory_mb: int | None = None
    cpu_count: int | None = None
    timeout_ms: int
    issue_count: int = 0
    """Issues that it found; an issue found twice counts once."""
    summary: str | None = None
    questions: list[str] = Field(default_factory=list, sa_type=Json)
    """What only the people of the project can tell."""
    assumptions: list[str] = Field(default_factory=list, sa_type=Json)
    """What its agent took for granted."""

    def mark_started(self) -> bool:
        """The engine has it.  False when it had it before, or when it was cancelled while pending."""
        if self.status is not IssueSessionStatus.pending:
            return False
        self.status, self.started_at = IssueSessionStatus.active, now()
        return True

    def close(
        self, status: IssueSessionStatus, *, code: str | None = None, message: str | None = None
    ) -> bool:
        """End it; the first ending is final.  False when it had ended before."""
        if self.is_finished:
            return False
        self.status = status
        self._finish(code, message)
        return True

    def set_result(self, summary: str, questions: list[str], assumptions: list[str]) -> None:
        """What its agent says at the end; finding nothing is a success that says so."""
        found = f"{self.issue_count} issue{'' if self.issue_count == 1 else 's'} found."
        self.summary = f"{found if self.issue_count else 'No issues found.'} {summary}"
        self.questions, self.assumptions = questions, assumptions
