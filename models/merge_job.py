"""Merge jobs: pull requests on their way into a base branch.

pending → running → completed | failed        (final; a new request is a new job)
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Json, JsonObject, Timestamp, choice, now
from models.event import Eventful


class MergeKind(StrEnum):
    pull_request = "pull_request"
    """The pull request of one run, merged on GitHub as it is."""


class MergeStrategy(StrEnum):
    merge = "merge"
    squash = "squash"
    rebase = "rebase"


class MergeStatus(StrEnum):
    pending = "pending"
    running = "running"
    completed = "completed"
    failed = "failed"

    @property
    def is_final(self) -> bool:
        return self in (MergeStatus.completed, MergeStatus.failed)


_AT_WORK = "status IN ('pending', 'running')"


class MergeJob(Eventful, table=True):
    __table_args__ = (
        Index("merge_job_pending", "status", postgresql_where="status = 'pending'"),
        Index("merge_job_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index("merge_job_one_a_run", "run_id", unique=True, postgresql_where=_AT_WORK),
        Index("merge_job_by_head_sha", "head_sha", postgresql_where=_AT_WORK),
    )
    id: str = Field(default_factory=prefixed("mj"), primary_key=True)
    kind: MergeKind = Field(sa_type=choice(MergeKind))
    status: MergeStatus = Field(default=MergeStatus.pending, sa_type=choice(MergeStatus))
    run_id: str | None = Field(default=None, foreign_key="run.id", ondelete="CASCADE")
    repository_slug: str
    pull_requests: list[JsonObject] = Field(default_factory=list, sa_type=Json)
    """[{"prUrl", "prNumber"}]: what is to be merged."""
    base_branch: str | None = None
    pr_url: str | None = None
    """Of the pull request that holds the result."""
    conflicts: list[JsonObject] = Field(default_factory=list, sa_type=Json)
    """[{"prUrl", "prNumber", "message"}]: what could not be merged."""
    merge_strategy: MergeStrategy = Field(default=MergeStrategy.squash, sa_type=choice(MergeStrategy))
    skip_ci_check: bool = False
    requested_by: str = Field(foreign_key="member.id")
    head_sha: str | None = None
    """The commit whose checks were read last; only this very commit is merged."""
    merge_sha: str | None = None
    waiting: JsonObject | None = Field(default=None, sa_type=Json)
    """{"code", "message"} while CI holds it up."""
    error_code: str | None = None
    error_message: str | None = None
    started_at: datetime | None = Field(default=None, sa_type=Timestamp)
    completed_at: datetime | None = Field(default=None, sa_type=Timestamp)

    def take(self) -> bool:
        """The engine has it.  False when it had it before."""
        if self.status is not MergeStatus.pending:
            return False
        self.status, self.started_at = MergeStatus.running, now()
        return True

    def wait(self, head_sha: str, code: str, message: str) -> bool:
        """What holds it up, at which commit; False when the row says so already."""
        said: JsonObject = {"code": code, "message": message}
        if (self.head_sha, self.waiting) == (head_sha, said):
            return False
        self.head_sha, self.waiting = head_sha, said
        return True

    def close(self, status: MergeStatus, code: str | None = None, message: str | None = None) -> bool:
        """End the job; its first ending is final.  False when it had ended before."""
        if self.status.is_final:
            return False
        self.status, self.completed_at, self.waiting = status, now(), None
        self.started_at = self.started_at or self.completed_at
        self.error_code, self.error_message = code, message
        return True
