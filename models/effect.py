"""The ledger of outside effects: what was meant to be done, and what came of it."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Json, JsonObject, Table, Timestamp, now


class Effect(Table, table=True):
    """Written as an intent before the effect, completed after it; an intent left open is looked into."""

    __table_args__ = (Index("effect_open", "key", postgresql_where="done_at IS NULL"),)
    key: str = Field(primary_key=True)
    """`<subject id>:<kind>`, for example `r_…:pull-request`."""
    subject_id: str = Field(index=True)
    kind: str
    intended_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    done_at: datetime | None = Field(default=None, sa_type=Timestamp)
    result: JsonObject | None = Field(default=None, sa_type=Json)
