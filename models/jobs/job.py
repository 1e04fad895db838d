"""A job: whatever has an agent work in a sandbox on a repository.  Runs are jobs, and so are scans."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Final

from sqlmodel import Field

from models.base import Dollars, Json, JsonObject, Timestamp, now
from models.budgets.money_code import BudgetWaitCode
from models.event import Eventful, EventType

WORKFLOW_LOST: Final = "WORKFLOW_LOST"
"""The error code of what ended because no workflow was at work on it any more."""


class Job(Eventful):
    """What every kind of job has on its row; the kinds have tables of their own."""

    WAITING_EVENT: ClassVar[EventType]
    """The event that says what holds it up."""
    STARTED_EVENT: ClassVar[EventType | None] = None
    """The event that says that the engine has it, where there is one."""
    REPLACES_SANDBOX: ClassVar[bool] = True
    """Whether it goes on in a new sandbox when its own is lost."""

    name: str
    github_repo_url: str
    repository_slug: str
    branch_name: str | None = None
    """The branch that it works on."""
    base_branch: str | None = None
    base_sha: str | None = None
    current_step_label: str | None = None
    current_step_progress: str | None = None
    last_progress_at: datetime | None = Field(default=None, sa_type=Timestamp)
    waiting: JsonObject | None = Field(default=None, sa_type=Json)
    """{"code", "message", "until"?} while a provider's limit, a budget or CI holds it up."""

    cost_usd: Decimal = Field(default=Decimal(0), sa_type=Dollars)
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    error_code: str | None = None
    error_message: str | None = None
    started_at: datetime | None = Field(default=None, sa_type=Timestamp)
    completed_at: datetime | None = Field(default=None, sa_type=Timestamp)
    temporal_namespace: str | None = None
    """Where its workflow was started; None until that is known."""

    def mark_started(self) -> bool:
        """The engine has it; False when it had it before, or when it ended while pending."""
        raise NotImplementedError("each kind of job has its own statuses")

    @property
    def is_finished(self) -> bool:
        return self.completed_at is not None

    @property
    def is_started(self) -> bool:
        """Whether the engine has had it."""
        return self.started_at is not None

    @property
    def temporal_workflow_id(self) -> str:
        """The id of the workflow at work on it."""
        return self.id

    @property
    def last_activity_at(self) -> datetime:
        """When it last said anything."""
        return self.last_progress_at or self.started_at or self.created_at

    @property
    def error(self) -> dict[str, str | None] | None:
        return {"code": self.error_code, "message": self.error_message} if self.error_code else None

    @property
    def token_usage(self) -> dict[str, int]:
        return {
            "input": self.input_tokens,
            "output": self.output_tokens,
            "cache_read": self.cache_read_tokens,
            "cache_write": self.cache_write_tokens,
        }

    def mark_cloned(self, base_branch: str, base_sha: str) -> None:
        """What it works from: the head of this branch."""
        self.base_branch, self.base_sha = base_branch, base_sha
        self.set_progress("The repository is cloned.")

    def set_progress(self, detail: str) -> None:
        """Show what was done last; of a job that is over nothing is shown any more."""
        if self.is_finished:
            return
        self.current_step_progress, self.last_progress_at = detail, now()
        self.waiting = None

    def set_waiting(self, reason: JsonObject) -> bool:
        """Show what holds it up; False when it shows that already, or is over."""
        if self.is_finished or self.waiting == reason:
            return False
        self.waiting, self.last_progress_at = reason, now()
        return True

    @property
    def is_waiting_for_budget(self) -> bool:
        """Whether its next model call cannot be paid for."""
        return self.waiting is not None and self.waiting.get("code") in list(BudgetWaitCode)

    def _finish(self, code: str | None, message: str | None) -> None:
        self.completed_at = now()
        self.started_at = self.started_at or self.completed_at
        self.error_code, self.error_message = code, message
        self.waiting = self.current_step_progress = None
