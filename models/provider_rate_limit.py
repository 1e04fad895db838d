"""Taking turns at a provider, across all processes: one row per credential, on the database's clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import DateTime, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, SQLModel

from kit.crypto import digest
from kit.database import Database

_Timestamp = cast("Any", DateTime(timezone=True))


MAX_SLOT_WAIT = timedelta(seconds=20)
"""How far ahead slots are given away: whoever holds one waits for it, and holds up a worker meanwhile."""


@dataclass(frozen=True)
class Slot:
    seconds: float
    """Until it comes."""
    is_reserved: bool
    """False: come again then, and ask anew."""


class Pacing(SQLModel, table=True):
    """When the next call may be made, and until when none may."""

    key: str = Field(primary_key=True)
    next_at: datetime = Field(sa_type=_Timestamp)
    expected_at: datetime | None = Field(default=None, sa_type=_Timestamp)
    """When the next who is sent away is to come again: one after the other, as slots become free."""
    blocked_until: datetime | None = Field(default=None, sa_type=_Timestamp)
    reason: str | None = None

    def take_slot(self, at: datetime, spacing: timedelta) -> Slot:
        """The next slot if it is near; nothing is reserved for those who are sent away.

        So a slot is never lost with one who gave up, and the queue does not grow by those who ask again.
        """
        next_at = max(at, self.next_at, self.blocked_until or at)
        if next_at - at <= MAX_SLOT_WAIT:
            self.next_at = next_at + spacing
            return Slot((next_at - at).total_seconds(), is_reserved=True)
        expected_at = max(next_at, self.expected_at or next_at)
        self.expected_at = expected_at + spacing
        return Slot((expected_at - at).total_seconds(), is_reserved=False)


@dataclass(frozen=True)
class BackOff:
    """A wait that the provider asked for."""

    seconds: float
    """What is left of it."""
    until: datetime
    reason: str


def credential_key(provider: str, credential: str) -> str:
    """The key of a credential's row, which does not betray it."""
    return f"{provider}:{digest(credential)[:24]}"


async def acquire_slot(database: Database, key: str, spacing_seconds: float) -> Slot:
    """Take the next slot, `spacing_seconds` after the last and after any block, or be told when to come."""
    async with database.transaction() as session:
        new = insert(Pacing).values(key=key, next_at=func.clock_timestamp()).on_conflict_do_nothing()
        await session.execute(new)
        row = await session.get_one(Pacing, key, with_for_update=True, populate_existing=True)
        at = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        return row.take_slot(at, timedelta(seconds=spacing_seconds))


_SET_BACK_OFF = """
    INSERT INTO pacing AS row (key, next_at, blocked_until, reason)
    VALUES (%(key)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(seconds)s), %(reason)s)
    ON CONFLICT (key) DO UPDATE SET blocked_until = excluded.blocked_until, reason = excluded.reason
    WHERE row.blocked_until IS NULL OR row.blocked_until < excluded.blocked_until
"""


async def back_off(database: Database, key: str, seconds: float, reason: str) -> None:
    """Let nobody call for `seconds`; never shortens a block that lasts longer."""
    await database.sql.fetch(_SET_BACK_OFF, {"key": key, "seconds": seconds, "reason": reason})


_READ_BACK_OFF = """
    SELECT extract(epoch FROM blocked_until - clock_timestamp()), blocked_until, reason FROM pacing
    WHERE key = %(key)s AND blocked_until > clock_timestamp()
"""


async def current_back_off(database: Database, key: str) -> BackOff | None:
    """The block in force, if any."""
    found = await database.sql.fetch(_READ_BACK_OFF, {"key": key})
    return BackOff(float(found[0][0]), found[0][1], found[0][2]) if found else None
