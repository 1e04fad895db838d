"""A sandbox of a job, and the append-only log of its life."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Index, select
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import prefixed
from models.base import Record, Table, Timestamp, choice, now


class SandboxStatus(StrEnum):
    creating = "creating"
    running = "running"
    paused = "paused"
    killed = "killed"
    error = "error"


LIVE: Final = "status IN ('creating', 'running', 'paused')"
"""Of sandboxes, for their indexes and for statements that use them."""
CLONED: Final = "type = 'clone'"
"""Of the lines of a sandbox's log."""


class Sandbox(Record, table=True):
    """A job has one that lives, at most."""

    __table_args__ = (
        Index("sandbox_live", "id", postgresql_where=LIVE),
        Index("sandbox_at_work", "job_id", unique=True, postgresql_where=LIVE),
    )
    id: str = Field(default_factory=prefixed("s"), primary_key=True)
    job_id: str = Field(index=True)
    name: str
    status: SandboxStatus = Field(default=SandboxStatus.creating, sa_type=choice(SandboxStatus))
    provider_id: str | None = Field(default=None, index=True)
    """The provider's own id of it."""
    template_id: str
    memory_mb: int | None = None
    cpu_count: int | None = None
    timeout_ms: int
    error_message: str | None = None
    started_at: datetime | None = Field(default=None, sa_type=Timestamp)
    killed_at: datetime | None = Field(default=None, sa_type=Timestamp)

    def end(self, status: SandboxStatus = SandboxStatus.killed, error: str | None = None) -> bool:
        """Mark it gone; False when it was already."""
        if self.status in (SandboxStatus.killed, SandboxStatus.error):
            return False
        self.status, self.killed_at, self.error_message = status, now(), error
        return True


class SandboxEventType(StrEnum):
    clone = "clone"
    sandbox_create = "sandbox-create"
    install = "install"
    setup_script = "setup-script"
    agent_cli = "agent-cli"


class SandboxEvent(Table, table=True):
    __table_args__ = (
        Index("sandbox_cloned_once", "sandbox_id", "message", unique=True, postgresql_where=CLONED),
    )
    id: str = Field(default_factory=prefixed("sev"), primary_key=True)
    sandbox_id: str = Field(foreign_key="sandbox.id", index=True, ondelete="CASCADE")
    type: SandboxEventType = Field(sa_type=choice(SandboxEventType))
    status: str
    """`completed` or `failed`."""
    message: str
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


async def happened(session: AsyncSession, sandbox_id: str, type: SandboxEventType, message: str) -> bool:
    """Write to the sandbox's log; False, and nothing is written, when it says so already."""
    before = select(SandboxEvent).where(
        col(SandboxEvent.sandbox_id) == sandbox_id, col(SandboxEvent.type) == type,
        col(SandboxEvent.message) == message,
    )  # fmt: skip
    if (await session.execute(before)).first():
        return False
    session.add(said(sandbox_id, type, message))
    return True


def said(sandbox_id: str, type: SandboxEventType, message: str) -> SandboxEvent:
    """A line of the sandbox's log."""
    return SandboxEvent(sandbox_id=sandbox_id, type=type, status="completed", message=message)
