"""The one event log: every change of a run appends to it, in the transaction of the change itself.

SSE, polling, notifications and webhooks all read this log; sequences are gapless per subject.
"""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sqlalchemy import BigInteger, Column, Identity, Index, select, text
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import prefixed
from models.base import Json, JsonObject, Record, Table, Timestamp, now


class EventType(StrEnum):
    job_resumed = "job.resumed"
    """A worker left the job in the middle of an activity, and another attempt has finished it."""

    run_created = "run.created"
    run_queued = "run.queued"
    run_started = "run.started"
    run_waiting = "run.waiting"
    run_paused = "run.paused"
    run_resumed = "run.resumed"
    run_stopping = "run.stopping"
    budget_reached = "budget.reached"
    sandbox_creating = "sandbox.creating"
    sandbox_running = "sandbox.running"
    sandbox_killed = "sandbox.killed"
    sandbox_lost = "sandbox.lost"
    repository_cloned = "repository.cloned"
    egress_refused = "egress.refused"
    """A sandbox asked for a host that it may not reach: `host` (`*` for those beyond the first 20) and
    `count`, how often this sandbox did; told when the sandbox ends, once for each host of a job."""
    checkpoint_refused = "checkpoint.refused"
    setup_script = "setup.script"
    step_started = "step.started"
    step_completed = "step.completed"
    turn_completed = "turn.completed"
    tool_completed = "tool.completed"
    context_compacted = "context.compacted"
    message_received = "message.received"
    branch_pushed = "branch.pushed"
    verification_started = "verification.started"
    verification_passed = "verification.passed"
    verification_failed = "verification.failed"
    verification_errored = "verification.errored"
    verification_given_up = "verification.given-up"
    verification_voided = "verification.voided"
    pr_created = "pr.created"
    pr_skipped = "pr.skipped"
    pr_merge_requested = "pr.merge-requested"
    pr_blocked_on_ci = "pr.blocked-on-ci"
    pr_merged = "pr.merged"
    pr_merge_failed = "pr.merge-failed"
    branch_deleted = "branch.deleted"
    branch_kept = "branch.kept"
    pr_failed = "pr.failed"
    ci_updated = "ci.updated"
    ci_fix_started = "ci.fix-started"
    ci_rerun_requested = "ci.rerun-requested"
    ci_fix_stopped = "ci.fix-stopped"
    run_completed = "run.completed"
    run_failed = "run.failed"
    run_cancelled = "run.cancelled"

    sandbox_job_waiting = "sandbox-job.waiting"
    sandbox_job_started = "sandbox-job.started"
    sandbox_job_ended = "sandbox-job.ended"

    member_invited = "member.invited"
    member_joined = "member.joined"
    member_role_changed = "member.role-changed"
    member_removed = "member.removed"

    merge_created = "merge.created"
    merge_started = "merge.started"
    merge_waiting = "merge.waiting"
    merge_settled = "merge.settled"
    merge_ended = "merge.ended"

    chain_created = "chain.created"
    chain_started = "chain.started"
    chain_paused = "chain.paused"
    chain_resumed = "chain.resumed"
    chain_stopping = "chain.stopping"
    chain_ended = "chain.ended"
    sprint_started = "sprint.started"
    sprint_completed = "sprint.completed"
    sprint_failed = "sprint.failed"
    issue_created = "issue.created"
    issue_running = "issue.running"
    issue_completed = "issue.completed"
    issue_failed = "issue.failed"
    issue_deleted = "issue.deleted"
    issue_session_created = "issue-session.created"
    issue_session_started = "issue-session.started"
    issue_session_waiting = "issue-session.waiting"
    issue_session_ended = "issue-session.ended"
    issue_found = "issue.found"
    answering_created = "answering-session.created"
    answering_waiting = "answering-session.waiting"
    answering_asked = "answering-session.asked"
    answering_reviewed = "answering-session.reviewed"
    answering_ended = "answering-session.ended"
    question_reviewed = "question.reviewed"
    learning_extraction_created = "learning-extraction.created"
    learning_extraction_started = "learning-extraction.started"
    learning_extraction_waiting = "learning-extraction.waiting"
    learning_extraction_ended = "learning-extraction.ended"
    learning_found = "learning.found"
    learning_seen_again = "learning.seen-again"
    chain_issue_started = "chain.issue-started"
    chain_issue_skipped = "chain.issue-skipped"
    chain_issue_completed = "chain.issue-completed"
    chain_issue_failed = "chain.issue-failed"
    task_fired = "recurring-task.fired"
    task_not_fired = "recurring-task.not-fired"

    webhook_disabled = "webhook.disabled"

    @property
    def is_final(self) -> bool:
        """The subject's work is over; what becomes of its pull request may still follow."""
        return self in (EventType.run_completed, EventType.run_failed, EventType.run_cancelled)


class Event(Table, table=True):
    __table_args__ = (
        Index("event_subject_seq", "subject_id", "seq", unique=True),
        Index("event_feed", "project_id", "xact_id", "position"),
        Index("event_news", "xact_id"),
    )
    id: str = Field(default_factory=prefixed("evt"), primary_key=True)
    project_id: str
    subject_id: str
    seq: int
    type: str
    data: JsonObject = Field(default_factory=dict, sa_type=Json)
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    xact_id: int | None = Field(
        default=None,
        sa_column=Column(
            BigInteger, nullable=False, server_default=text("((pg_current_xact_id())::text)::bigint")
        ),
    )
    """The transaction that wrote it; with `position` its place in the feed (`models.webhooks.feed`)."""
    position: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), nullable=False)
    )


class Subject(Protocol):
    """What has its own event sequence."""

    id: str
    project_id: str
    event_seq: int


class Eventful(Record):
    """A record with its own event sequence."""

    event_seq: int = Field(default=0)


def append_event(
    session: AsyncSession, subject: Subject, type: EventType, data: JsonObject | None = None
) -> Event:
    """Append to the subject's log.  The caller holds the subject's row (`with_for_update`), hence no gaps.

    Whoever does not hold it meets the unique index, never a second event of the same sequence.
    """
    subject.event_seq += 1
    event = Event(
        project_id=subject.project_id,
        subject_id=subject.id,
        seq=subject.event_seq,
        type=type,
        data=data or {},
    )
    session.add(event)
    return event


async def has_event(session: AsyncSession, subject_id: str, type: EventType, data: JsonObject) -> bool:
    """Whether the subject's log has an event of this type that holds this data."""
    statement = select(col(Event.id)).where(
        col(Event.subject_id) == subject_id, col(Event.type) == type, col(Event.data).contains(data)
    )
    return (await session.execute(statement)).first() is not None
