"""The installation: the one database, with the Temporal namespace that belongs to it.

Its id is on every workflow, schedule and sandbox that it makes.  The reconciler touches nothing else.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, select
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import prefixed
from models.base import Table, Timestamp, now


class Installation(Table, table=True):
    """One row, made by the migration."""

    __table_args__ = (CheckConstraint("is_only", name="installation_is_only"),)
    id: str = Field(default_factory=prefixed("ins"), primary_key=True)
    is_only: bool = Field(default=True, unique=True)
    """True: unique, so that there cannot be a second row."""
    temporal_namespace: str | None = None
    """Where its workflows are: the namespace of the first worker, until an operator claims another one."""
    refused_at: datetime | None = Field(default=None, sa_type=Timestamp)
    refusal: str | None = None
    """Why a worker refused to sweep, and when last."""

    @property
    def is_bound(self) -> bool:
        """Whether it is known which namespace its workflows are in."""
        return self.temporal_namespace is not None

    def bind(self, namespace: str) -> str | None:
        """Take the namespace if there is none yet; why it cannot be used, or None where it can."""
        self.temporal_namespace = self.temporal_namespace or namespace
        return self.mismatch_reason(namespace)

    def mismatch_reason(self, namespace: str) -> str | None:
        """Why a process that is configured for this namespace must start and judge nothing."""
        if self.temporal_namespace in (None, namespace):
            return None
        return (
            f"This database's workflows are in the Temporal namespace {self.temporal_namespace}, and this "
            f"process is configured for {namespace}: correct TEMPORAL_NAMESPACE or DATABASE_URL; to move the "
            "installation, run codecourier claim."
        )

    def claim(self, id: str, namespace: str) -> None:
        """Be this installation, with its workflows in this namespace; an operator says so."""
        self.id, self.temporal_namespace = id, namespace
        self.refused_at = self.refusal = None

    def record_refusal(self, reason: str) -> None:
        self.refused_at, self.refusal = now(), reason


async def get_installation(session: AsyncSession, *, lock: bool = False) -> Installation:
    statement = select(Installation)
    found: Installation = (
        await session.execute(statement.with_for_update() if lock else statement)
    ).scalar_one()
    return found
