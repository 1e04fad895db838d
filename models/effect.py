"""The ledger of outside effects: what was meant to be done, and what came of it."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

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


async def intend(session: AsyncSession, key: str, subject_id: str, kind: str) -> None:
    """Write down what is about to be done, unless it was written before."""
    row = Effect(key=key, subject_id=subject_id, kind=kind)
    await session.execute(insert(Effect).values(row.model_dump(exclude_none=True)).on_conflict_do_nothing())
