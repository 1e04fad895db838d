"""The token bucket of an API key, which all processes of the API share: see `api.http.rate_limits`."""

from datetime import datetime
from typing import Final

from psycopg.errors import ForeignKeyViolation, InsufficientPrivilege
from sqlmodel import Field

from kit.database import Database
from kit.errors import AuthInvalid
from kit.token_bucket import Rate
from models.base import Table, Timestamp


class RateBucket(Table, table=True):
    """`kit.token_bucket.Bucket` as a row.

    The table is not logged: after a crash of the database every bucket is full, which harms nobody.
    """

    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012

    key_id: str = Field(primary_key=True, foreign_key="api_key.id", ondelete="CASCADE")
    full_at: datetime = Field(sa_type=Timestamp)
    """When it would be full again."""
    granted: int
    """What the last who asked was given: so that one statement both takes and tells."""


_TOKENS_LEFT: Final = """greatest(0, floor(
        (%(seconds)s - extract(epoch FROM greatest(bucket.full_at, now()) - now())) / %(spacing)s + 0.001
    ))::int"""
_TAKE_TOKENS: Final = f"""
    INSERT INTO rate_bucket AS bucket (key_id, full_at, granted)
    VALUES (%(key_id)s, now() + make_interval(secs => %(wanted)s * %(spacing)s), %(wanted)s)
    ON CONFLICT (key_id) DO UPDATE SET
        granted = least({_TOKENS_LEFT}, %(wanted)s),
        full_at = greatest(bucket.full_at, now())
            + make_interval(secs => least({_TOKENS_LEFT}, %(wanted)s) * %(spacing)s)
    RETURNING granted, {_TOKENS_LEFT}
"""  # noqa: S608


async def take_tokens(database: Database, key_id: str, rate: Rate, wanted: int) -> tuple[int, int]:
    """Take as many as are wanted and there, atomically; how many, and how many are left.

    wanted: not more than the rate's quota.  Raises AuthInvalid when the key itself is gone, with its project.
    """
    values = {"key_id": key_id, "wanted": wanted, "seconds": float(rate.seconds), "spacing": rate.spacing}
    try:
        [(granted, left)] = await database.sql.fetch(_TAKE_TOKENS, values)
    except (ForeignKeyViolation, InsufficientPrivilege):  # no key; or none that its policy lets see
        raise AuthInvalid("This API key is unknown, expired or revoked.") from None
    return int(granted), int(left)
