"""Chains: runs of one workflow on one repository, one after another, and the rules of their life.

pending → running ⇄ paused
   └────────┴─────────┴──→ completed | failed | cancelled        a failed one may be tried again, anew
"""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final

from sqlmodel import Field

from kit.schemas import Wire
from models.base import Timestamp, enum_column, now
from models.event import Eventful, EventType
from models.json_view import json_object_sql


class ChainStatus(StrEnum):
    """`pending` until it is started and Temporal has it, `running` or `paused`; `completed`, `failed` and
    `cancelled` end it, but a failed one can be tried again."""

    pending = "pending"
    running = "running"
    paused = "paused"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (ChainStatus.completed, ChainStatus.failed, ChainStatus.cancelled)


class Chain(Eventful):
    """What sprint chains and work chains share."""

    STARTED_EVENT: ClassVar[EventType] = EventType.chain_started
    """The event that says that the engine has it."""

    status: ChainStatus = Field(default=ChainStatus.pending, sa_type=enum_column(ChainStatus))
    workflow_id: str = Field(index=True)
    github_repo_url: str
    repository_slug: str
    branch_name: str | None = None
    """The base branch; the workflow's, or the repository's default branch when there is none."""
    attempt: int = 1
    """Counts up whenever a failed chain is tried again: each is a workflow of its own."""
    error_code: str | None = None
    error_message: str | None = None
    error_run_id: str | None = None
    """The run that the chain failed with."""
    started_at: datetime | None = Field(default=None, sa_type=Timestamp)
    completed_at: datetime | None = Field(default=None, sa_type=Timestamp)
    temporal_namespace: str | None = None
    """Where the attempt's workflow was started; None until that is known."""

    @property
    def error(self) -> dict[str, str | None] | None:
        if self.error_code is None:
            return None
        return {"code": self.error_code, "message": self.error_message, "run_id": self.error_run_id}

    @property
    def is_finished(self) -> bool:
        return self.status.is_final

    @property
    def is_started(self) -> bool:
        """Whether the engine has had this attempt."""
        return self.status is not ChainStatus.pending

    @property
    def last_activity_at(self) -> datetime:
        """When it last said anything on its row."""
        return self.started_at or self.created_at

    @property
    def temporal_workflow_id(self) -> str:
        """The id of the workflow at work on it."""
        return self.id if self.attempt == 1 else f"{self.id}.{self.attempt}"

    def mark_started(self) -> bool:
        """The engine has it.  False when it had it before, or when it was cancelled while pending."""
        if self.status is not ChainStatus.pending:
            return False
        self.status, self.started_at = ChainStatus.running, self.started_at or now()
        return True

    def set_paused(self, paused: bool) -> bool:
        """Pause or go on; False when that changes nothing."""
        wanted = ChainStatus.paused if paused else ChainStatus.running
        if self.status is wanted or self.status.is_final:
            return False
        self.status = wanted
        return True

    def close(
        self,
        status: ChainStatus,
        code: str | None = None,
        message: str | None = None,
        run_id: str | None = None,
    ) -> bool:
        """End the attempt, because of a run if it failed; its first ending is final.

        False when it had ended before.
        """
        if self.status.is_final:
            return False
        self.status, self.completed_at = status, now()
        self.error_code, self.error_message, self.error_run_id = code, message, run_id
        return True

    def start_new_attempt(self) -> None:
        """A new attempt, pending."""
        self.status, self.attempt = ChainStatus.pending, self.attempt + 1
        self.error_code = self.error_message = self.error_run_id = self.completed_at = None
        self.temporal_namespace = None


def with_item(values: list[str | None], index: int, value: str | None) -> list[str | None]:
    """A new list with the value at the index, filled up with None before it."""
    longer = [*values, *[None] * (index + 1 - len(values))]
    return [*longer[:index], value, *longer[index + 1 :]]


class ChainError(Wire):
    """Why a chain failed, and with which run."""

    code: str
    """A stable name, for programs."""
    message: str | None
    """A sentence, for people."""
    run_id: str | None
    """The run that the chain failed with; null when it was none."""


CHAIN_ERROR: Final = (
    "CASE WHEN error_code IS NOT NULL THEN "
    f"{json_object_sql(code='error_code', message='error_message', runId='error_run_id')} END"
)
"""SQL of a chain's error."""
