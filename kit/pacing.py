"""Taking turns at a provider, across all processes: one row per credential, on the database's clock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import DateTime
from sqlmodel import Field, SQLModel

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


_RESERVE = """
    INSERT INTO pacing AS row (key, next_at)
    VALUES (%(key)s, clock_timestamp() + make_interval(secs => %(spacing)s))
    ON CONFLICT (key) DO UPDATE SET
        next_at = make_interval(secs => %(spacing)s)
            + greatest(row.next_at, row.blocked_until, clock_timestamp())
    RETURNING extract(epoch FROM next_at - make_interval(secs => %(spacing)s) - clock_timestamp())
"""


async def reserve(database: Database, key: str, spacing_seconds: float) -> float:
    """Take the next slot, `spacing_seconds` after the last and after any block; seconds to wait for it."""
    [[seconds]] = await database.direct.fetch(_RESERVE, {"key": key, "spacing": spacing_seconds})
    return max(0.0, float(seconds))


_BLOCK = """
    INSERT INTO pacing AS row (key, next_at, blocked_until, reason)
    VALUES (%(key)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(seconds)s), %(reason)s)
    ON CONFLICT (key) DO UPDATE SET blocked_until = excluded.blocked_until, reason = excluded.reason
    WHERE row.blocked_until IS NULL OR row.blocked_until < excluded.blocked_until
"""


async def block(database: Database, key: str, seconds: float, reason: str) -> None:
    """Let nobody call for `seconds`; never shortens a block that lasts longer."""
    await database.direct.fetch(_BLOCK, {"key": key, "seconds": seconds, "reason": reason})


_BLOCKED = """
    SELECT extract(epoch FROM blocked_until - clock_timestamp()), blocked_until, reason FROM pacing
    WHERE key = %(key)s AND blocked_until > clock_timestamp()
"""


async def blocked(database: Database, key: str) -> Block | None:
    """The block in force, if any."""
    found = await database.direct.fetch(_BLOCKED, {"key": key})
    return Block(float(found[0][0]), found[0][1], found[0][2]) if found else None
