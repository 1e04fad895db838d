"""A verification of a run: the blueprint's command, run by the platform on the very commit that was pushed.

running → passed | failed | timed-out | error → void, once the branch has moved on
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Index, UniqueConstraint, select
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import prefixed
from models.base import Json, JsonObject, Table, Timestamp, enum_column, now
from models.event import EventType, append_event
from models.runs.run import Run


class VerificationStatus(StrEnum):
    """`running`; `passed` or `failed` by what the command said; `timed-out` when it was ended at its limit,
    `error` when it could not be run to its end; `void` once another commit is on the branch."""

    running = "running"
    passed = "passed"
    failed = "failed"
    timed_out = "timed-out"
    error = "error"
    void = "void"


class CommandResult(BaseModel):
    """What came of a command in a fresh sandbox."""

    exit_code: int | None
    """None when it did not end by itself; `reason` says why."""
    timed_out: bool = False
    duration_ms: int
    output: str
    """The end of what it printed, secrets masked."""
    reason: str | None = None
    """Why it could not be run to its end."""
    tests: JsonObject | None = None
    """Of `models.verification.runner_output.CountedTests`; None where no runner is known."""
    test_files: list[str] | None = None
    """The tests that the commit changes, against the base commit."""

    @property
    def passed(self) -> bool:
        return self.exit_code == 0

    @property
    def status(self) -> VerificationStatus:
        if self.timed_out:
            return VerificationStatus.timed_out
        if self.exit_code is None:
            return VerificationStatus.error
        return VerificationStatus.passed if self.passed else VerificationStatus.failed


class Verification(Table, table=True):
    __table_args__ = (
        UniqueConstraint("run_id", "number"),
        Index("verification_by_commit", "commit_sha"),
    )
    id: str = Field(default_factory=prefixed("ver"), primary_key=True)
    run_id: str = Field(foreign_key="run.id", ondelete="CASCADE")
    number: int
    """Counts up from 1 in the run."""
    status: VerificationStatus = Field(
        default=VerificationStatus.running, sa_type=enum_column(VerificationStatus)
    )
    commit_sha: str
    command: str
    timeout_ms: int
    exit_code: int | None = None
    duration_ms: int | None = None
    output: str | None = None
    reason: str | None = None
    tests: JsonObject | None = Field(default=None, sa_type=Json)
    test_files: list[str] | None = Field(default=None, sa_type=Json)
    started_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    completed_at: datetime | None = Field(default=None, sa_type=Timestamp)
    voided_at: datetime | None = Field(default=None, sa_type=Timestamp)

    def set_result(self, result: CommandResult) -> bool:
        """What came of it; False when that was written before."""
        if self.status is not VerificationStatus.running:
            return False
        self.status, self.completed_at = result.status, now()
        self.exit_code, self.duration_ms, self.output = result.exit_code, result.duration_ms, result.output
        self.reason, self.tests, self.test_files = result.reason, result.tests, result.test_files
        return True

    def void(self) -> bool:
        """It says nothing of the branch any more; False when it is void already."""
        if self.status is VerificationStatus.void:
            return False
        self.status, self.voided_at = VerificationStatus.void, now()
        return True

    @property
    def event_data(self) -> JsonObject:
        """What its events tell."""
        return {
            "verificationId": self.id,
            "number": self.number,
            "commitSha": self.commit_sha,
            "command": self.command,
            "status": self.status,
            "exitCode": self.exit_code,
            "durationMs": self.duration_ms,
            "reason": self.reason,
        }


async def get_last_verification(session: AsyncSession, run_id: str) -> Verification | None:
    """The run's newest one."""
    statement = (
        select(Verification)
        .where(col(Verification.run_id) == run_id)
        .order_by(col(Verification.number).desc())
        .limit(1)
    )
    found: Verification | None = (await session.execute(statement)).scalar_one_or_none()
    return found


async def void_verifications(session: AsyncSession, run: Run, *, head_sha: str) -> None:
    """The run's branch is at `head_sha`: what was verified of other commits is void.

    The caller holds the run's row.
    """
    await _void(session, run, col(Verification.commit_sha) != head_sha, head_sha)


async def void_verifications_of_commit(
    session: AsyncSession, run: Run, before: str, after: str | None
) -> None:
    """The run's branch has moved on from a commit: what was verified of that one is void.

    Told late or twice, it changes nothing that is verified by now.  The caller holds the run's row.
    """
    await _void(session, run, col(Verification.commit_sha) == before, after)


async def _void(session: AsyncSession, run: Run, which: ColumnElement[bool], head_sha: str | None) -> None:
    valid = col(Verification.status) != VerificationStatus.void
    statement = select(Verification).where(col(Verification.run_id) == run.id, valid, which)
    for each in (await session.execute(statement)).scalars().all():
        if each.void():
            append_event(
                session, run, EventType.verification_voided, {**each.event_data, "headSha": head_sha}
            )


async def end_verifications(session: AsyncSession, run: Run) -> None:
    """The run is over: what still runs is not waited for.  The caller holds the run's row."""
    statement = select(Verification).where(
        col(Verification.run_id) == run.id, col(Verification.status) == VerificationStatus.running
    )
    for each in (await session.execute(statement)).scalars():
        reason = "The run ended before it did."
        each.set_result(CommandResult(exit_code=None, duration_ms=0, output="", reason=reason))
