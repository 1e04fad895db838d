"""Remembered answers of POST requests that carried an `Idempotency-Key`."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, text, tuple_
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Table, Timestamp, now

RETENTION: Final = timedelta(hours=24)
"""How long an answer is remembered."""


class IdempotencyRecord(Table, table=True):
    """What one API key asked under one `Idempotency-Key`; without a status it is still being done."""

    project_id: str = Field(primary_key=True)
    key_id: str = Field(primary_key=True)
    """The API key's: what one was answered, no other is."""
    key: str = Field(primary_key=True)
    request_hash: str
    status_code: int | None = None
    body: bytes | None = None
    """Sealed; None, once there is a status, for an answer that showed a secret."""
    made_id: str | None = None
    """What such an answer was about."""
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp, index=True)
    """When the claim was made that counts."""
    began_at: datetime = Field(
        default_factory=now, sa_type=Timestamp, sa_column_kwargs={"server_default": text("now()")}
    )
    """When the key was claimed first: before `created_at` where that claim's process died."""


async def prune_idempotency_records(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete the oldest claims of before a moment, of whatever project; how many.

    Nobody is given their answers any more.
    """
    record = IdempotencyRecord
    identity = (col(record.project_id), col(record.key_id), col(record.key))
    old = select(*identity).where(col(record.created_at) < before)
    some = old.order_by(col(record.created_at)).limit(limit).with_for_update(skip_locked=True)
    removed = delete(record).where(tuple_(*identity).in_(some))
    return len((await session.execute(removed.returning(col(record.key)))).all())
