"""Answering sessions: an agent asks about what a scan found, people review, the agent answers for good.

pending → active → reviewed → completed        archived: put into the trash, from anywhere
   └────────┴─────────┴────→ failed

The engine makes every step but two: a client may say that all is `reviewed`, and archive.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import Index
from sqlmodel import Field

from kit.errors import Conflict
from kit.ids import prefixed
from models.base import enum_column, now
from models.event import EventType
from models.jobs.job import Job
from models.trash.trashable import Trashable, trash_indexes

ARCHIVED_CODE: Final = "ARCHIVED"
"""The error of a session that was archived before it had ended."""


class AnsweringStatus(StrEnum):
    """`pending` until its questions are there, `active` while people review them, `reviewed` while its agent
    writes the answers; then `completed` or `failed`. `archived` sessions are in the trash."""

    pending = "pending"
    active = "active"
    reviewed = "reviewed"
    completed = "completed"
    failed = "failed"
    archived = "archived"


class AnsweringSession(Trashable, Job, table=True):
    WAITING_EVENT = EventType.answering_waiting

    __table_args__ = (
        *trash_indexes("answering_session"),
        Index("answering_session_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "answering_session_of_status", "project_id", "status", "id", postgresql_where="deleted_at IS NULL"
        ),
        Index("answering_session_pending", "status", postgresql_where="status = 'pending'"),
        Index(
            "answering_session_one_at_a_time",
            "issue_session_id",
            unique=True,
            postgresql_where="status IN ('pending', 'active', 'reviewed')",
        ),
    )
    id: str = Field(default_factory=prefixed("as"), primary_key=True)
    issue_session_id: str = Field(index=True)
    status: AnsweringStatus = Field(default=AnsweringStatus.pending, sa_type=enum_column(AnsweringStatus))
    question_count: int = 0
    reviewed_count: int = 0
    time_limit_seconds: int

    def mark_started(self) -> bool:
        """The engine has it; it stays pending until there are questions.  False when it had it before."""
        if self.started_at is not None:
            return False
        self.started_at = now()
        return True

    def publish_questions(self, count: int) -> None:
        """The questions are there and wait for their reviews."""
        self._transition(AnsweringStatus.pending, to=AnsweringStatus.active)
        self.question_count = count

    def mark_reviewed(self) -> bool:
        """All is reviewed, by the last review or because a client says so; False when it was before."""
        if self.status in (AnsweringStatus.reviewed, AnsweringStatus.completed):
            return False
        self._transition(AnsweringStatus.active, to=AnsweringStatus.reviewed)
        return True

    def close(self, status: AnsweringStatus, *, code: str | None = None, message: str | None = None) -> bool:
        """End it; the first ending is final.  False when it had ended before."""
        if self.is_finished:
            return False
        self.status = status
        self._finish(code, message)
        return True

    def archive(self, by: str | None = None) -> None:
        """Into the trash, whatever it was doing."""
        self.close(
            AnsweringStatus.failed, code=ARCHIVED_CODE, message="It was archived while it was at work."
        )
        self.status = AnsweringStatus.archived
        self.trash(by)

    def restore(self) -> None:
        """Out of the trash, as it had ended; what was archived while it was at work has failed."""
        super().restore()
        self.status = AnsweringStatus.failed if self.error_code else AnsweringStatus.completed

    def _transition(self, before: AnsweringStatus, *, to: AnsweringStatus) -> None:
        if self.status is not before:
            raise Conflict(f"The answering session is {self.status} and cannot become {to}.")
        self.status = to
