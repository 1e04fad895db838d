"""A run: one execution of a blueprint on a repository, and the rules of its life.

pending → running ⇄ paused
   └────────┴─────────┴──→ completed | failed | cancelled        (final)
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.errors import Conflict
from kit.ids import prefixed
from models.base import Json, JsonObject, Timestamp, choice, now
from models.event import EventType
from models.job import Job


class RunStatus(StrEnum):
    pending = "pending"
    running = "running"
    paused = "paused"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (RunStatus.completed, RunStatus.failed, RunStatus.cancelled)


class RunSource(StrEnum):
    workflow = "workflow"
    scheduled = "scheduled"
    work_chain = "work_chain"
    sprint_chain = "sprint_chain"
    api = "api"


class PrStatus(StrEnum):
    creating = "creating"
    created = "created"
    failed = "failed"
    skipped = "skipped"
    merged = "merged"
    blocked_on_ci = "blocked_on_ci"


class Run(Job, table=True):
    WAITING, STARTED = EventType.run_waiting, EventType.run_started

    __table_args__ = (
        Index("run_by_number", "project_id", "run_number", unique=True),
        Index("run_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "run_with_pull_request",
            "project_id",
            "id",
            postgresql_where="pr_status IS NOT NULL AND deleted_at IS NULL",
        ),
        Index("run_unfinished", "status", postgresql_where="status IN ('pending', 'running', 'paused')"),
        Index("run_by_unique_key", "unique_key", unique=True),
        Index("run_by_head_sha", "head_sha", postgresql_where="head_sha IS NOT NULL"),
        Index("run_by_pull_request", "pr_number", postgresql_where="pr_number IS NOT NULL"),
    )
    id: str = Field(default_factory=prefixed("r"), primary_key=True)
    run_number: int
    status: RunStatus = Field(default=RunStatus.pending, sa_type=choice(RunStatus))
    source: RunSource = Field(default=RunSource.api, sa_type=choice(RunSource))
    prompt: str
    blueprint_id: str = Field(foreign_key="blueprint.id", index=True)
    blueprint_name: str
    chain_id: str | None = Field(default=None, index=True)
    recurring_task_id: str | None = Field(default=None, index=True)
    restarted_from: str | None = None
    unique_key: str | None = None
    """Names the cause (a schedule's occurrence, a chain's place), so that one cause starts one run."""

    current_iteration: int = 0
    max_iterations: int = 1
    quality_score: float | None = None

    pr_status: PrStatus | None = Field(default=None, sa_type=choice(PrStatus))
    pr_url: str | None = None
    pr_number: int | None = None
    head_sha: str | None = None
    ci_checks: JsonObject | None = Field(default=None, sa_type=Json)

    scheduled_for: datetime | None = Field(default=None, sa_type=Timestamp)
    timezone: str | None = None
    recurrence_pattern: str | None = None

    @property
    def is_taken(self) -> bool:
        return self.status is not RunStatus.pending

    def take(self) -> bool:
        """The engine has it.  False when it had it before, or when the run was cancelled while pending."""
        if self.status is not RunStatus.pending:
            return False
        self.status, self.started_at = RunStatus.running, now()
        return True

    def pause(self) -> None:
        self._from(RunStatus.running, RunStatus.pending, to=RunStatus.paused, verb="paused")

    def resume(self) -> None:
        self._from(RunStatus.paused, to=RunStatus.running, verb="resumed")

    def close(self, status: RunStatus, *, code: str | None = None, message: str | None = None) -> bool:
        """End the run; the first ending is final.  False when it had ended before."""
        if self.status.is_final:
            return False
        self.status = status
        self._end(code, message)
        return True

    def _from(self, *allowed: RunStatus, to: RunStatus, verb: str) -> None:
        if self.status is to:
            return
        if self.status not in allowed:
            raise Conflict(f"Run {self.run_number} is {self.status} and cannot be {verb}.")
        self.status = to
