"""A sandbox of a job, and the append-only log of its life."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Index, func, select
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import prefixed
from models.base import Table, Timestamp, enum_column, now
from models.trash.trashable import Trashable, trash_indexes


class SandboxStatus(StrEnum):
    """`creating`, `running` or `paused` while it lives; `killed` when it was removed, `error` when it could
    not be made or was lost."""

    creating = "creating"
    running = "running"
    paused = "paused"
    killed = "killed"
    error = "error"


class SandboxPurpose(StrEnum):
    """What a sandbox is for: `work`, which lasts as long as its job, or `verification`: made afresh from one
    commit to check it, and removed right after."""

    work = "work"
    verification = "verification"


LIVE_STATUSES: Final = (SandboxStatus.creating, SandboxStatus.running, SandboxStatus.paused)
LIVE_CONDITION: Final = "status IN ('creating', 'running', 'paused')"
"""Of sandboxes, for their indexes and for statements that use them."""
CLONED_CONDITION: Final = "type = 'clone'"
"""Of the lines of a sandbox's log."""


class Sandbox(Trashable, table=True):
    """A job has one that lives for each purpose, at most."""

    __table_args__ = (
        *trash_indexes("sandbox"),
        Index("sandbox_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index("sandbox_of_status", "project_id", "status", "id", postgresql_where="deleted_at IS NULL"),
        Index("sandbox_live", "id", postgresql_where=LIVE_CONDITION),
        Index("sandbox_at_work", "job_id", "purpose", unique=True, postgresql_where=LIVE_CONDITION),
    )
    id: str = Field(default_factory=prefixed("s"), primary_key=True)
    job_id: str = Field(index=True)
    purpose: SandboxPurpose = Field(
        default=SandboxPurpose.work,
        sa_type=enum_column(SandboxPurpose),
        sa_column_kwargs={"server_default": SandboxPurpose.work},
    )
    commit_sha: str | None = None
    """The commit that a verification is of; None: the job's base commit, as nothing was changed yet."""
    name: str
    status: SandboxStatus = Field(default=SandboxStatus.creating, sa_type=enum_column(SandboxStatus))
    provider_id: str | None = Field(default=None, index=True)
    """The provider's own id of it."""
    template_id: str
    memory_mb: int | None = None
    cpu_count: int | None = None
    timeout_ms: int
    error_message: str | None = None
    started_at: datetime | None = Field(default=None, sa_type=Timestamp)
    killed_at: datetime | None = Field(default=None, sa_type=Timestamp)

    def mark_running(self, provider_id: str) -> bool:
        """The provider has it, under this id of its own; False when the row says so already, or is ended."""
        if self.status is not SandboxStatus.creating:
            return False
        self.status, self.provider_id = SandboxStatus.running, provider_id
        self.started_at = self.started_at or now()
        return True

    def mark_ended(self, status: SandboxStatus = SandboxStatus.killed, error: str | None = None) -> bool:
        """Mark it gone; False when it was already."""
        if self.status in (SandboxStatus.killed, SandboxStatus.error):
            return False
        self.status, self.killed_at, self.error_message = status, now(), error
        return True

    def set_error(self, error: str | None) -> None:
        """Say of one that is gone that it failed, and of what, unless it says so already."""
        if self.status is SandboxStatus.killed:
            self.status, self.error_message = SandboxStatus.error, error


async def count_lost_sandboxes(session: AsyncSession, job_id: str) -> int:
    """How many sandboxes a job has lost."""
    statement = select(func.count()).where(
        col(Sandbox.job_id) == job_id, col(Sandbox.status) == SandboxStatus.error
    )
    return int((await session.execute(statement)).scalar_one())


class SandboxEventType(StrEnum):
    """What happened: the sandbox was created, the repository cloned, project files put in place (`install`),
    a setup script run, or an agent finished in a sandbox of one's own (`agent-cli`)."""

    clone = "clone"
    sandbox_create = "sandbox-create"
    install = "install"
    setup_script = "setup-script"
    agent_cli = "agent-cli"


class SandboxEvent(Table, table=True):
    __table_args__ = (
        Index("sandbox_event_in_order", "sandbox_id", "id"),
        Index("sandbox_cloned_once", "sandbox_id", "message", unique=True, postgresql_where=CLONED_CONDITION),
    )
    id: str = Field(default_factory=prefixed("sev"), primary_key=True)
    sandbox_id: str = Field(foreign_key="sandbox.id", ondelete="CASCADE")
    type: SandboxEventType = Field(sa_type=enum_column(SandboxEventType))
    status: str
    """`completed` or `failed`."""
    message: str
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


async def append_sandbox_event_once(
    session: AsyncSession, sandbox_id: str, type: SandboxEventType, message: str
) -> bool:
    """Write to the sandbox's log; False, and nothing is written, when it says so already."""
    before = select(SandboxEvent).where(
        col(SandboxEvent.sandbox_id) == sandbox_id,
        col(SandboxEvent.type) == type,
        col(SandboxEvent.message) == message,
    )
    if (await session.execute(before)).first():
        return False
    session.add(sandbox_event(sandbox_id, type, message))
    return True


async def is_cloned(session: AsyncSession, sandbox_id: str) -> bool:
    """Whether its log says what was cloned into it."""
    logged = select(SandboxEvent).where(
        col(SandboxEvent.sandbox_id) == sandbox_id, col(SandboxEvent.type) == SandboxEventType.clone
    )
    return (await session.execute(logged.limit(1))).first() is not None


async def list_live_sandboxes(session: AsyncSession, job_id: str) -> list[Sandbox]:
    """The sandboxes that a job uses, or is to use; its rows have one for each purpose, at most."""
    statement = select(Sandbox).where(col(Sandbox.job_id) == job_id, col(Sandbox.status).in_(LIVE_STATUSES))
    return list((await session.execute(statement)).scalars())


async def get_live_sandbox(session: AsyncSession, job_id: str, purpose: SandboxPurpose) -> Sandbox | None:
    """The one of this purpose."""
    live = await list_live_sandboxes(session, job_id)
    return next((sandbox for sandbox in live if sandbox.purpose is purpose), None)


def sandbox_event(sandbox_id: str, type: SandboxEventType, message: str) -> SandboxEvent:
    """A line of the sandbox's log."""
    return SandboxEvent(sandbox_id=sandbox_id, type=type, status="completed", message=message)
