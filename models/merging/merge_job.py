"""Merge jobs: pull requests on their way into a base branch, and what is told of their end.

    pending → running → completed | failed        (final; a new request is a new job)

Status, events and notifications are written once each.  The caller holds the run's row, then the job's, in
this order.
"""

from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import prefixed
from models.base import Json, JsonObject, enum_column, now
from models.event import EventType, append_event
from models.jobs.job import Job
from models.notifications.notification import NotificationType, notify_members
from models.runs.run import Run


class MergeKind(StrEnum):
    """`pull_request`: the pull request of one run, merged on GitHub as it is; `integration`: several pull
    requests, merged one by one into a branch that becomes one pull request."""

    pull_request = "pull_request"
    """The pull request of one run, merged on GitHub as it is."""
    integration = "integration"
    """Several pull requests, merged one by one into a branch that becomes one pull request."""


class MergeStrategy(StrEnum):
    """How GitHub merges a pull request: by a merge commit, squashed into one commit, or rebased."""

    merge = "merge"
    squash = "squash"
    rebase = "rebase"


class MergeStatus(StrEnum):
    """`pending` until Temporal has it, then `running`; `completed` and `failed` are final."""

    pending = "pending"
    running = "running"
    completed = "completed"
    failed = "failed"

    @property
    def is_final(self) -> bool:
        return self in (MergeStatus.completed, MergeStatus.failed)


_ACTIVE_CONDITION = "status IN ('pending', 'running')"


class MergeJob(Job, table=True):
    WAITING_EVENT, STARTED_EVENT = EventType.merge_waiting, EventType.merge_started

    __table_args__ = (
        Index("merge_job_pending", "status", postgresql_where="status = 'pending'"),
        Index("merge_job_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index("merge_job_of_status", "project_id", "status", "id", postgresql_where="deleted_at IS NULL"),
        Index("merge_job_one_a_run", "run_id", unique=True, postgresql_where=_ACTIVE_CONDITION),
        Index("merge_job_by_head_sha", "head_sha", postgresql_where=_ACTIVE_CONDITION),
    )
    id: str = Field(default_factory=prefixed("mj"), primary_key=True)
    kind: MergeKind = Field(sa_type=enum_column(MergeKind))
    status: MergeStatus = Field(default=MergeStatus.pending, sa_type=enum_column(MergeStatus))
    run_id: str | None = Field(default=None, foreign_key="run.id", index=True, ondelete="CASCADE")
    pull_requests: list[JsonObject] = Field(default_factory=list, sa_type=Json)
    """[{"prUrl", "prNumber", "title"?, "outcome"?}]: what is to be merged, and what became of each."""
    descriptions: dict[str, str] = Field(default_factory=dict, sa_type=Json)
    """By number, what the pull requests say of themselves: for the agent that solves their conflicts."""
    config: JsonObject = Field(default_factory=dict, sa_type=Json)
    """Of `models.merging.combined_merge_start.MergeConfig`."""
    pr_url: str | None = None
    """Of the pull request that holds the result."""
    conflicts: list[JsonObject] = Field(default_factory=list, sa_type=Json)
    """[{"prUrl", "prNumber", "message"}]: what could not be merged."""
    merge_strategy: MergeStrategy = Field(default=MergeStrategy.squash, sa_type=enum_column(MergeStrategy))
    skip_ci_check: bool = False
    requested_by: str = Field(foreign_key="member.id")
    head_sha: str | None = None
    """The commit whose checks were read last; only this very commit is merged."""
    merge_sha: str | None = None
    integrated_sha: str | None = None
    """The last commit of the integration branch that holds; what is merged next starts there."""

    def mark_started(self) -> bool:
        """The engine has it.  False when it had it before."""
        if self.status is not MergeStatus.pending:
            return False
        self.status, self.started_at = MergeStatus.running, now()
        return True

    def mark_blocked(self, head_sha: str, code: str, message: str) -> bool:
        """What of CI holds it up, at which commit; False when the row says so already."""
        said: JsonObject = {"code": code, "message": message}
        if (self.head_sha, self.waiting) == (head_sha, said):
            return False
        self.head_sha, self.waiting = head_sha, said
        return True

    def mark_opened(self, pr_url: str, head_sha: str) -> None:
        """The pull request that holds the result is open and ends in this commit."""
        self.pr_url, self.head_sha = pr_url, head_sha

    def set_merged_head(self, head_sha: str) -> None:
        """The commit of the pull request that was merged."""
        self.head_sha = head_sha

    def close(self, status: MergeStatus, code: str | None = None, message: str | None = None) -> bool:
        """End the job; its first ending is final.  False when it had ended before."""
        if self.status.is_final:
            return False
        self.status = status
        self._finish(code, message)
        return True

    @property
    def pull_request_numbers(self) -> list[int]:
        """Of the pull requests, in the order in which they are merged."""
        return [int(str(each["prNumber"])) for each in self.pull_requests]

    def numbers_with(self, outcome: str) -> list[int]:
        return [number for number in self.pull_request_numbers if self.outcome_of(number) == outcome]

    def outcome_of(self, number: int) -> str | None:
        """`merged` or `left_out`; None while that is open."""
        outcome = self.pull_requests[self.pull_request_numbers.index(number)].get("outcome")
        return None if outcome is None else str(outcome)

    def title_of(self, number: int) -> str:
        return self.descriptions.get(str(number), "").split("\n", 1)[0]

    def subject(self, number: int) -> str:
        """Of the commit that merges it."""
        return f"Merge pull request #{number}\n\n{self.title_of(number)}"

    def record_outcome(self, number: int, outcome: str, message: str = "") -> bool:
        """What became of one of several pull requests; False when that was settled before."""
        if self.outcome_of(number) is not None:
            return False
        place = self.pull_request_numbers.index(number)
        entry = self.pull_requests[place]
        told = {**entry, "title": self.title_of(number), "outcome": outcome}
        self.pull_requests = [*self.pull_requests[:place], told, *self.pull_requests[place + 1 :]]
        if outcome == "left_out":
            left = {"prUrl": entry["prUrl"], "prNumber": number, "message": message}
            self.conflicts = [*self.conflicts, left]
        return True


async def record_merged(session: AsyncSession, run: Run, data: JsonObject) -> None:
    """The run's pull request is merged; whoever hears of it first, a job or a webhook, tells."""
    if not run.mark_pr_merged():
        return
    event = append_event(session, run, EventType.pr_merged, _subject(run) | data)
    title = f"The pull request of run {run.run_number} was merged"
    await notify_members(session, event, NotificationType.pr_merged, title, run.pr_url or "", event.data)


async def complete_merge(session: AsyncSession, run: Run, job: MergeJob, merge_sha: str | None) -> None:
    """The job has done what it was asked for, or found it done."""
    if not job.close(MergeStatus.completed):
        return
    job.merge_sha = merge_sha
    append_event(session, job, EventType.merge_ended, {"status": job.status, "mergeSha": merge_sha})
    await record_merged(session, run, {"mergeJobId": job.id, "mergeSha": merge_sha})


async def fail_merge(
    session: AsyncSession, run: Run, job: MergeJob, code: str, message: str, *, closed: bool = False
) -> None:
    """The job could not do it; the pull request stays open, unless it was `closed` without being merged."""
    if not job.close(MergeStatus.failed, code, message):
        return
    reason: JsonObject = {"code": code, "message": message}
    append_event(session, job, EventType.merge_ended, {"status": job.status, **reason})
    run.mark_pr_not_merged(closed=closed)
    data: JsonObject = {"mergeJobId": job.id, **reason}
    event = append_event(session, run, EventType.pr_merge_failed, _subject(run) | data)
    title = f"The pull request of run {run.run_number} could not be merged"
    await notify_members(session, event, NotificationType.pr_failed, title, message, event.data)


def _subject(run: Run) -> JsonObject:
    return {"runId": run.id, "prUrl": run.pr_url, "number": run.pr_number}


def record_pull_request_merged(session: AsyncSession, job: MergeJob, number: int, sha: str) -> None:
    """One of several pull requests is merged by this commit, from which the next one starts; once."""
    if job.outcome_of(number) is None:
        job.integrated_sha = sha
        record_pull_request_outcome(session, job, number, "merged")


def record_pull_request_outcome(
    session: AsyncSession, job: MergeJob, number: int, outcome: str, reason: str = ""
) -> None:
    """What became of one of several pull requests, on the job and in its log, once, while that is open."""
    if not job.is_finished and job.record_outcome(number, outcome, reason):
        data: JsonObject = {"prNumber": number, "outcome": outcome, "message": reason}
        append_event(session, job, EventType.merge_settled, data)
