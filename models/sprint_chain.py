"""Sprint chains: one run after another over numbered sprints, each told what the earlier ones did.

pending → running ⇄ paused
   └────────┴─────────┴──→ completed | failed | cancelled        a failed one may be resumed: a new attempt
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.errors import Conflict
from kit.ids import prefixed
from models.base import Json, Timestamp, choice, now
from models.event import Eventful


class ChainStatus(StrEnum):
    pending = "pending"
    running = "running"
    paused = "paused"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (ChainStatus.completed, ChainStatus.failed, ChainStatus.cancelled)


class SprintChain(Eventful, table=True):
    __table_args__ = (
        Index("sprint_chain_pending", "status", postgresql_where="status = 'pending'"),
        Index("sprint_chain_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
    )
    id: str = Field(default_factory=prefixed("sc"), primary_key=True)
    status: ChainStatus = Field(default=ChainStatus.pending, sa_type=choice(ChainStatus))
    workflow_id: str = Field(foreign_key="blueprint.id", index=True)
    prompt: str
    github_repo_url: str
    repository_slug: str
    branch_name: str | None = None
    sprint_start: int
    sprint_end: int
    current_sprint_index: int = 0
    resume_from_sprint: int | None = None
    sprint_pr_urls: list[str | None] = Field(default_factory=list, sa_type=Json)
    """By sprint index; None for one that has no pull request."""
    sprint_run_ids: list[str | None] = Field(default_factory=list, sa_type=Json)
    attempt: int = 1
    """Counts up with every resumption of a failed chain: each is a workflow of its own."""
    error_code: str | None = None
    error_message: str | None = None
    started_at: datetime | None = Field(default=None, sa_type=Timestamp)
    completed_at: datetime | None = Field(default=None, sa_type=Timestamp)

    @property
    def count(self) -> int:
        return self.sprint_end - self.sprint_start + 1

    @property
    def sprint_range(self) -> list[int]:
        return [self.sprint_start, self.sprint_end]

    @property
    def error(self) -> dict[str, str | None] | None:
        return {"code": self.error_code, "message": self.error_message} if self.error_code else None

    @property
    def engine_id(self) -> str:
        """The id of the workflow at work on it."""
        return self.id if self.attempt == 1 else f"{self.id}.{self.attempt}"

    @property
    def first_index(self) -> int:
        """Where this attempt begins."""
        return self.resume_from_sprint or 0

    def take(self) -> bool:
        """The engine has it.  False when it had it before, or when it was cancelled while pending."""
        if self.status is not ChainStatus.pending:
            return False
        self.status, self.started_at = ChainStatus.running, self.started_at or now()
        self.current_sprint_index = self.first_index
        return True

    def hold(self, paused: bool) -> bool:
        """Pause or go on; False when that changes nothing."""
        wanted = ChainStatus.paused if paused else ChainStatus.running
        if self.status is wanted or self.status.is_final:
            return False
        self.status = wanted
        return True

    def begin_sprint(self, index: int, run_id: str) -> None:
        self.current_sprint_index = index
        self.sprint_run_ids = _placed(self.sprint_run_ids, index, run_id)

    def end_sprint(self, index: int, pr_url: str | None) -> None:
        self.sprint_pr_urls = _placed(self.sprint_pr_urls, index, pr_url)

    def close(self, status: ChainStatus, code: str | None = None, message: str | None = None) -> bool:
        """End the attempt; its first ending is final.  False when it had ended before."""
        if self.status.is_final:
            return False
        self.status, self.completed_at = status, now()
        self.error_code, self.error_message = code, message
        return True

    def try_again(self, index: int | None) -> None:
        """A new attempt of a failed chain, from a sprint index; from the one that failed unless given."""
        if self.status is not ChainStatus.failed:
            raise Conflict(f"The chain is {self.status}: only a paused or a failed one can be resumed.")
        self.resume_from_sprint = self.current_sprint_index if index is None else index
        self.status, self.attempt = ChainStatus.pending, self.attempt + 1
        self.error_code = self.error_message = self.completed_at = None


def _placed(values: list[str | None], index: int, value: str | None) -> list[str | None]:
    """A new list with the value at the index, filled up with None before it."""
    longer = [*values, *[None] * (index + 1 - len(values))]
    return [*longer[:index], value, *longer[index + 1 :]]
