"""Learning extractions: after a run, an agent reads its transcript and reports what is to be learned.

pending → running → completed | failed | cancelled        (final)

A job of its own: the run is over by then, and nothing that happens here touches it.
"""

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final

from sqlalchemy import Index
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Dollars, enum_column, now
from models.blueprints.persona import ThinkingEffort
from models.event import EventType
from models.jobs.job import Job

TIME_LIMIT_SECONDS: Final = 1_800
MAX_TURNS: Final = 40


class ExtractionStatus(StrEnum):
    pending = "pending"
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (ExtractionStatus.pending, ExtractionStatus.running)


class LearningExtraction(Job, table=True):
    WAITING_EVENT: ClassVar[EventType] = EventType.learning_extraction_waiting
    STARTED_EVENT: ClassVar[EventType | None] = EventType.learning_extraction_started

    __table_args__ = (
        Index("learning_extraction_once_a_run", "run_id", unique=True),
        Index(
            "learning_extraction_unfinished", "status", postgresql_where="status IN ('pending', 'running')"
        ),
    )
    id: str = Field(default_factory=prefixed("lx"), primary_key=True)
    status: ExtractionStatus = Field(default=ExtractionStatus.pending, sa_type=enum_column(ExtractionStatus))
    run_id: str = Field(foreign_key="run.id", ondelete="CASCADE")
    model: str | None = None
    """None: the server's default model."""
    thinking_effort: ThinkingEffort = Field(sa_type=enum_column(ThinkingEffort))
    instructions: str | None = None
    """What the project tells its agent besides, as it was when the run ended."""
    max_cost_usd: Decimal | None = Field(default=None, sa_type=Dollars)
    """What it may cost; never more than the run left of its own budget."""
    found_count: int = 0
    """Learnings that are new because of it."""
    merged_count: int = 0
    """Learnings that were known, and counted once more."""
    summary: str | None = None

    def mark_started(self) -> bool:
        if self.status is not ExtractionStatus.pending:
            return False
        self.status, self.started_at = ExtractionStatus.running, now()
        return True

    def close(self, status: ExtractionStatus, *, code: str | None = None, message: str | None = None) -> bool:
        """End it; the first ending is final.  False when it had ended before."""
        if self.is_finished:
            return False
        self.status = status
        self._finish(code, message)
        return True
