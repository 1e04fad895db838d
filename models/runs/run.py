"""A run: one execution of a blueprint on a repository, and the rules of its life.

pending → running ⇄ paused
   └────────┴─────────┴──→ completed | failed | cancelled        (final)

A pending run may be paused, too; a queued one is pending again when it is resumed.
"""

from datetime import datetime
from enum import IntEnum, StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.errors import Conflict
from kit.ids import prefixed
from kit.schemas import format_timestamp
from models.base import Json, JsonObject, Timestamp, enum_column, now
from models.budgets.money_code import BudgetWaitCode
from models.event import EventType
from models.jobs.job import Job
from models.runs.run_step import RunStep
from models.trash.trashable import Trashable, trash_indexes

CHECKED_AT_KEY = "checkedAt"
"""In `Run.ci_checks`: when they were read."""


class RunStatus(StrEnum):
    """`pending` until Temporal has it, `running`, or `paused` by a person or because its budget is reached;
    `completed`, `failed` and `cancelled` are final."""

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
    """What started a run: a recurring task (`scheduled`), a `work_chain`, a `sprint_chain`, or a request
    (`api`). `workflow` is not used."""

    workflow = "workflow"
    scheduled = "scheduled"
    work_chain = "work_chain"
    sprint_chain = "sprint_chain"
    api = "api"

    @property
    def may_quote_agents(self) -> bool:
        """Whether the prompt may hold what agents wrote: an issue, or what the sprint before did."""
        return self in (RunSource.work_chain, RunSource.sprint_chain)


class PrStatus(StrEnum):
    """What became of a run's pull request: `creating`; `created` and open; `blocked_on_ci` while its merge
    waits for CI; `merged`; `failed` when it could not be opened or was closed unmerged; `skipped` when
    nothing was changed."""

    creating = "creating"
    created = "created"
    failed = "failed"
    skipped = "skipped"
    merged = "merged"
    blocked_on_ci = "blocked_on_ci"


class RunPriority(IntEnum):
    """How soon a run begins among its project's own; the least is the first, as Temporal counts."""

    highest = 1
    high = 2
    normal = 3
    low = 4


class Run(Trashable, Job, table=True):
    WAITING_EVENT, STARTED_EVENT = EventType.run_waiting, EventType.run_started

    __table_args__ = (
        *trash_indexes("run"),
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
        Index("run_of_status", "project_id", "status", "id", postgresql_where="deleted_at IS NULL"),
        Index("run_of_source", "project_id", "source", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "run_of_pr_status",
            "project_id",
            "pr_status",
            "id",
            postgresql_where="pr_status IS NOT NULL AND deleted_at IS NULL",
        ),
        Index("run_of_blueprint", "project_id", "blueprint_id", "id"),
        Index("run_of_blueprint_by_time", "blueprint_id", "created_at"),
        Index("run_of_chain", "project_id", "chain_id", "id", postgresql_where="chain_id IS NOT NULL"),
        Index("run_by_chain", "chain_id", postgresql_where="chain_id IS NOT NULL"),
        Index(
            "run_of_recurring_task",
            "project_id",
            "recurring_task_id",
            "id",
            postgresql_where="recurring_task_id IS NOT NULL",
        ),
        Index("run_timeline", "project_id", "created_at", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "run_endings",
            "project_id",
            "completed_at",
            postgresql_include=["status", "pr_status"],
            postgresql_where="completed_at IS NOT NULL AND deleted_at IS NULL",
        ),
        Index(
            "run_by_name",
            "name",
            postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops"},
            postgresql_where="deleted_at IS NULL",
        ),
    )
    id: str = Field(default_factory=prefixed("r"), primary_key=True)
    run_number: int
    status: RunStatus = Field(default=RunStatus.pending, sa_type=enum_column(RunStatus))
    source: RunSource = Field(default=RunSource.api, sa_type=enum_column(RunSource))
    prompt: str
    blueprint_id: str
    """Also after the blueprint was deleted for good, as the name is kept too."""
    blueprint_name: str
    chain_id: str | None = None
    recurring_task_id: str | None = None
    restarted_from: str | None = None
    continues_run_id: str | None = None
    """The run whose work it goes on with."""
    unique_key: str | None = None
    """Names the cause (a schedule's occurrence, a chain's place), so that one cause starts one run."""

    priority: int = Field(
        default=RunPriority.normal, sa_column_kwargs={"server_default": str(RunPriority.normal)}
    )
    """Among the project's own: the least goes first, in its queue and on the workers."""
    queued_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """Since when it waits for its turn, where it found the project at work on as many runs as it may be."""
    paused_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """When a person paused it; None while it is paused for money only."""

    current_iteration: int = 0
    max_iterations: int = 1
    quality_score: float | None = None
    """From 0 to 100, of the last evaluator or judge step."""
    quality_reasons: list[str] | None = Field(default=None, sa_type=Json)
    ranking: list[JsonObject] | None = Field(default=None, sa_type=Json)
    """Of the branches that the last judge step compared, the best first."""

    pr_status: PrStatus | None = Field(default=None, sa_type=enum_column(PrStatus))
    pr_url: str | None = None
    pr_number: int | None = None
    head_sha: str | None = None
    ci_checks: JsonObject | None = Field(default=None, sa_type=Json)

    scheduled_for: datetime | None = Field(default=None, sa_type=Timestamp)
    timezone: str | None = None
    recurrence_pattern: str | None = None

    @property
    def is_started(self) -> bool:
        return self.status is not RunStatus.pending or self.queued_at is not None

    def mark_started(self) -> bool:
        """The engine has it.  False when it had it before, or when the run ended while pending.

        A run that was paused while pending stays so.
        """
        if self.is_finished or self.started_at is not None:
            return False
        self.started_at = now()
        if self.status is RunStatus.pending:
            self.status = RunStatus.running
        return True

    def queue(self) -> bool:
        """Temporal has it, and it waits for its turn; False when it does already."""
        if self.is_finished or self.started_at is not None or self.queued_at is not None:
            return False
        self.queued_at = now()
        return True

    @property
    def is_queued(self) -> bool:
        """Whether it was queued and has not begun; it may be paused meanwhile."""
        return self.queued_at is not None and self.started_at is None

    def pause(self) -> bool:
        """Hold it for a person; False when it is held for one already.  It may wait for money besides."""
        if self.paused_at is not None and not self.status.is_final:
            return False
        self._transition(RunStatus.running, RunStatus.pending, to=RunStatus.paused, verb="paused")
        self.paused_at = now()
        return True

    def resume(self) -> bool:
        """Let it go on as far as people are concerned; False when it was not held by one.

        It stays paused while it waits for money.
        """
        if self.paused_at is None and (self._is_over_budget or self.status is RunStatus.running):
            return False
        if not self._is_over_budget:
            to = RunStatus.pending if self.is_queued else RunStatus.running
            self._transition(RunStatus.paused, to=to, verb="resumed")
        self.paused_at = None
        return True

    def pause_for_budget(self, reason: JsonObject) -> bool:
        """Its next model call cannot be paid for; False when the row says so already, or when it is over."""
        if not self.set_waiting(reason):
            return False
        self._transition(RunStatus.running, RunStatus.pending, to=RunStatus.paused, verb="paused")
        return True

    def resume_from_budget(self) -> bool:
        """There is money again; False when that lets nothing go on, as a person has paused it too."""
        if self.status is not RunStatus.paused or self.paused_at is not None:
            return False
        self.status = RunStatus.running
        return True

    @property
    def _is_over_budget(self) -> bool:
        is_reserved = self.waiting is not None and self.waiting.get("code") == BudgetWaitCode.reserved
        return self.status is RunStatus.paused and self.is_waiting_for_budget and not is_reserved

    def close(self, status: RunStatus, *, code: str | None = None, message: str | None = None) -> bool:
        """End the run; the first ending is final.  False when it had ended before."""
        if self.status.is_final:
            return False
        self.status = status
        self._finish(code, message)
        return True

    def start_step(self, label: str, iteration: int) -> None:
        """A step of it begins."""
        self.current_step_label, self.current_iteration = label, iteration
        self.set_progress(f"{label}, iteration {iteration}")

    @property
    def pushed_branch(self) -> str | None:
        """Its branch, once that is on the remote."""
        return self.branch_name if self.head_sha is not None else None

    def mark_branch_pushed(self, branch: str, sha: str) -> bool:
        """Its branch on the remote ends in this commit; False when the row says so already."""
        if self.head_sha == sha:
            return False
        self.branch_name, self.head_sha = branch, sha
        return True

    def mark_pr_skipped(self) -> bool:
        """It changed nothing; False when the row says so already, or when it has pushed something."""
        if self.head_sha is not None or self.pr_status is PrStatus.skipped:
            return False
        self.pr_status = PrStatus.skipped
        return True

    def mark_pr_opening(self) -> bool:
        """Its pull request is about to be opened; False when it is open."""
        if self.pr_url is not None:
            return False
        self.pr_status = PrStatus.creating
        return True

    def mark_pr_opened(self, url: str, number: int) -> bool:
        """Its pull request is open; False when it was before."""
        if self.pr_url is not None:
            return False
        self.pr_status, self.pr_url, self.pr_number = PrStatus.created, url, number
        return True

    def mark_pr_failed(self) -> bool:
        """The pull request that was being opened never came to be; False when none was."""
        if self.pr_status is not PrStatus.creating:
            return False
        self.pr_status = PrStatus.failed
        return True

    def mark_pr_blocked(self) -> bool:
        """The merge of its pull request waits for CI; False when that is merged."""
        if self.pr_status is PrStatus.merged:
            return False
        self.pr_status = PrStatus.blocked_on_ci
        return True

    def mark_pr_merged(self) -> bool:
        """Its pull request is merged; False when it was before."""
        if self.pr_status is PrStatus.merged:
            return False
        self.pr_status = PrStatus.merged
        return True

    def mark_pr_not_merged(self, *, closed: bool) -> bool:
        """Its pull request could not be merged: it stays open, or was closed; False when it is merged."""
        if self.pr_status is PrStatus.merged:
            return False
        self.pr_status = PrStatus.failed if closed else PrStatus.created
        return True

    def record_checks(self, checks: JsonObject) -> bool:
        """What CI says just now: {"status", "checks"}; False when it said the same before."""
        before = {key: value for key, value in (self.ci_checks or {}).items() if key != CHECKED_AT_KEY}
        self.ci_checks = {**checks, CHECKED_AT_KEY: format_timestamp(now())}
        return before != checks

    def copy_scores(self, step: RunStep) -> None:
        """Take over what a step of it was given by an evaluator or a judge."""
        self.quality_score, self.quality_reasons = step.quality_score, step.quality_reasons
        self.ranking = step.ranking

    def _transition(self, *allowed: RunStatus, to: RunStatus, verb: str) -> None:
        if self.status is to:
            return
        if self.status not in allowed:
            raise Conflict(f"Run {self.run_number} is {self.status} and cannot be {verb}.")
        self.status = to
