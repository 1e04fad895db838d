"""What the reconciler's sweeps came to: when each was last good, and what it found."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Json, JsonObject, Table, Timestamp, enum_column, now

STALE_AFTER: Final = timedelta(minutes=5)
"""Sweeps come every half minute at the latest: silence for so long is worth an alert."""


class SweepName(StrEnum):
    start = "start"
    """Starts what was accepted."""
    reconcile = "reconcile"
    """Looks for what does not fit together."""


class Sweep(Table, table=True):
    """One row for each sweep that ever ended."""

    name: SweepName = Field(primary_key=True, sa_type=enum_column(SweepName))
    good_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """When one last looked at everything, and nothing kept it from repairing."""
    ended_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    found: JsonObject = Field(default_factory=dict, sa_type=Json)
    """By what was looked for: how much was found, repaired and left."""
    problem: str | None = None
    """Why the last one was not good."""

    def record(self, found: JsonObject, problem: str | None) -> None:
        """What the last one came to."""
        self.ended_at, self.found, self.problem = now(), found, problem
        if problem is None:
            self.good_at = self.ended_at

    @property
    def is_stale(self) -> bool:
        return self.good_at is None or self.good_at < now() - STALE_AFTER


async def last_successful_sweep(session: AsyncSession) -> datetime | None:
    """Since when something may be left behind: the older of the last good ones; None if one never was."""
    sweeps = await load_sweeps(session)
    moments = [sweeps[name].good_at if name in sweeps else None for name in SweepName]
    known = [moment for moment in moments if moment is not None]
    return min(known) if len(known) == len(moments) else None


async def load_sweeps(session: AsyncSession) -> dict[SweepName, Sweep]:
    """What is known of the sweeps; one that never ended is not in it.  For probes, status and alerts."""
    return {sweep.name: sweep for sweep in (await session.execute(select(Sweep))).scalars()}
