"""Taking turns at a provider, across all processes: one row per credential, on the database's clock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import DateTime, text
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.crypto import digest
from kit.database import Database

_Timestamp = cast("Any", DateTime(timezone=True))


class Pacing(SQLModel, table=True):
    """When the next call may be made, and until when none may."""

    key: str = Field(primary_key=True)
    next_at: datetime = Field(sa_type=_Timestamp)
    blocked_until: datetime | None = Field(default=None, sa_type=_Timestamp)
    reason: str | None = None


@dataclass(frozen=True)
class Block:
    """A wait that the provider asked for."""

    seconds: float
    """What is left of it."""
    until: datetime
    reason: str


def fingerprint(provider: str, credential: str) -> str:
    """The key of a credential's row, which does not betray it."""
    return f"{provider}:{digest(credential)[:24]}"


_RESERVE = text("""
    INSERT INTO pacing AS row (key, next_at)
    VALUES (:key, clock_timestamp() + make_interval(secs => :spacing))
    ON CONFLICT (key) DO UPDATE SET
        next_at = make_interval(secs => :spacing)
            + greatest(row.next_at, row.blocked_until, clock_timestamp())
    RETURNING extract(epoch FROM next_at - make_interval(secs => :spacing) - clock_timestamp())
""")


async def reserve(database: Database, key: str, spacing_seconds: float) -> float:
    """Take the next slot, `spacing_seconds` after the last and after any block; seconds to wait for it."""
    async with database.engine.begin() as connection:
        row = await connection.execute(_RESERVE, {"key": key, "spacing": spacing_seconds})
        return max(0.0, float(row.scalar_one()))


_BLOCK = text("""
    INSERT INTO pacing AS row (key, next_at, blocked_until, reason)
    VALUES (:key, clock_timestamp(), clock_timestamp() + make_interval(secs => :seconds), :reason)
    ON CONFLICT (key) DO UPDATE SET blocked_until = excluded.blocked_until, reason = excluded.reason
    WHERE row.blocked_until IS NULL OR row.blocked_until < excluded.blocked_until
""")


async def block(database: Database, key: str, seconds: float, reason: str) -> None:
    """Let nobody call for `seconds`; never shortens a block that lasts longer."""
    async with database.engine.begin() as connection:
        await connection.execute(_BLOCK, {"key": key, "seconds": seconds, "reason": reason})


_BLOCKED = text("""
    SELECT extract(epoch FROM blocked_until - clock_timestamp()), blocked_until, reason FROM pacing
    WHERE key = :key AND blocked_until > clock_timestamp()
""")


async def blocked(session: AsyncSession, key: str) -> Block | None:
    """The block in force, if any."""
    row = (await (await session.connection()).execute(_BLOCKED, {"key": key})).one_or_none()
    return None if row is None else Block(float(row[0]), row[1], row[2])
