"""A run: one execution of a blueprint on a repository, and the rules of its life.

pending → running ⇄ paused
   └────────┴─────────┴──→ completed | failed | cancelled        (final)
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.errors import Conflict
from kit.ids import prefixed
from models.base import Dollars, Json, JsonObject, Table, Timestamp, choice, now
from models.event import Eventful


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


class Run(Eventful, table=True):
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
    )
    id: str = Field(default_factory=prefixed("r"), primary_key=True)
    run_number: int
    name: str
    status: RunStatus = Field(default=RunStatus.pending, sa_type=choice(RunStatus))
    source: RunSource = Field(default=RunSource.api, sa_type=choice(RunSource))
    prompt: str
    github_repo_url: str
    repository_slug: str
    branch_name: str | None = None
    base_branch: str | None = None
    blueprint_id: str = Field(foreign_key="blueprint.id", index=True)
    blueprint_name: str
    chain_id: str | None = Field(default=None, index=True)
    recurring_task_id: str | None = Field(default=None, index=True)
    restarted_from: str | None = None
    unique_key: str | None = None
    """Names the cause (a schedule's occurrence, a chain's place), so that one cause starts one run."""

    current_iteration: int = 0
    max_iterations: int = 1
    current_step_label: str | None = None
    current_step_progress: str | None = None
    last_progress_at: datetime | None = Field(default=None, sa_type=Timestamp)
    waiting: JsonObject | None = Field(default=None, sa_type=Json)
    """{"code", "message", "until"?} while a provider's limit or CI holds the run up."""

    cost_usd: Decimal = Field(default=Decimal(0), sa_type=Dollars)
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    quality_score: float | None = None

    pr_status: PrStatus | None = Field(default=None, sa_type=choice(PrStatus))
    pr_url: str | None = None
    pr_number: int | None = None
    base_sha: str | None = None
    head_sha: str | None = None
    ci_checks: JsonObject | None = Field(default=None, sa_type=Json)

    scheduled_for: datetime | None = Field(default=None, sa_type=Timestamp)
    timezone: str | None = None
    recurrence_pattern: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    started_at: datetime | None = Field(default=None, sa_type=Timestamp)
    completed_at: datetime | None = Field(default=None, sa_type=Timestamp)

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
        self.status, self.completed_at = status, now()
        self.started_at = self.started_at or self.completed_at
        self.error_code, self.error_message = code, message
        self.waiting = self.current_step_progress = None
        return True

    def progress(self, detail: str) -> None:
        self.current_step_progress, self.last_progress_at = detail, now()
        self.waiting = None

    def _from(self, *allowed: RunStatus, to: RunStatus, verb: str) -> None:
        if self.status is to:
            return
        if self.status not in allowed:
            raise Conflict(f"Run {self.run_number} is {self.status} and cannot be {verb}.")
        self.status = to


class RunSnapshotRow(Table, table=True):
    """What a run uses, frozen at its start; beside the run, so that lists stay light."""

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    document: JsonObject = Field(sa_type=Json)
