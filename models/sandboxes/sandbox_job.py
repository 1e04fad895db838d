"""A sandbox of one's own: a job that keeps a sandbox with a repository until its time is over.

pending → running → completed | failed | cancelled        (final)
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Timestamp, enum_column, now
from models.event import EventType
from models.jobs.job import Job

SANDBOX_LOST = "SANDBOX_LOST"


class SandboxJobStatus(StrEnum):
    pending = "pending"
    running = "running"
    completed = "completed"
    """Its time is over."""
    failed = "failed"
    cancelled = "cancelled"
    """It was deleted before its time was over."""


class SandboxJob(Job, table=True):
    WAITING_EVENT, STARTED_EVENT = EventType.sandbox_job_waiting, EventType.sandbox_job_started
    REPLACES_SANDBOX: ClassVar[bool] = False

    __table_args__ = (Index("sandbox_job_unfinished", "id", postgresql_where="completed_at IS NULL"),)
    id: str = Field(default_factory=prefixed("sj"), primary_key=True)
    status: SandboxJobStatus = Field(default=SandboxJobStatus.pending, sa_type=enum_column(SandboxJobStatus))
    timeout_ms: int
    ends_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """When its time is over; None until the repository is cloned."""

    def mark_started(self) -> bool:
        """The engine has it.  False when it had it before, or when it was deleted while pending."""
        if self.status is not SandboxJobStatus.pending:
            return False
        self.status, self.started_at = SandboxJobStatus.running, now()
        return True

    def start_lifetime(self) -> datetime:
        """Let its time begin, unless it has begun; when it is over."""
        self.ends_at = self.ends_at or now() + timedelta(milliseconds=self.timeout_ms)
        return self.ends_at

    def close(self, status: SandboxJobStatus, *, code: str | None = None, message: str | None = None) -> bool:
        """End it; the first ending is final.  False when it had ended before."""
        if self.is_finished:
            return False
        self.status = status
        self._finish(code, message)
        return True

    def mark_lost(self) -> bool:
        """End it because its sandbox is gone: another one would not be the one that its owner works in."""
        message = (
            "The sandbox is gone at the provider. Create another one with POST /api/v1/sandboxes/create."
        )
        return self.close(SandboxJobStatus.failed, code=SANDBOX_LOST, message=message)
