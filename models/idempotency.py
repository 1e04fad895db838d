"""Remembered answers of POST requests that carried an `Idempotency-Key`."""

from datetime import datetime

from sqlmodel import Field

from models.base import Table, Timestamp, now


class IdempotencyRecord(Table, table=True):
    """One key of one project; without a status the first request is still running."""

    project_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: str
    status_code: int | None = None
    body: bytes | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp, index=True)
