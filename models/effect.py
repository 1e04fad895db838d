"""The ledger of outside effects: what was meant to be done, and what came of it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Index, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Json, JsonObject, Table, Timestamp, now

FIRST_RETRY_DELAY: Final = timedelta(minutes=1)
MAX_RETRY_DELAY: Final = timedelta(hours=4)
MAX_ATTEMPTS: Final = 12
"""Within about a day."""


class EffectKind(StrEnum):
    pull_request = "pull-request"
    checkpoint = "checkpoint"


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
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How often it could not be found out what came of it."""
    next_attempt_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """Not before then it is looked into again."""

    def postpone(self) -> bool:
        """Look into it again later, with a growing pause; False when it was tried often enough."""
        self.attempts += 1
        self.next_attempt_at = now() + min(FIRST_RETRY_DELAY * 2 ** (self.attempts - 1), MAX_RETRY_DELAY)
        return self.attempts < MAX_ATTEMPTS

    @classmethod
    def new_intent(cls, subject_id: str, kind: EffectKind) -> "Effect":
        """An intent that is not carried out yet."""
        return cls(key=effect_key(subject_id, kind), subject_id=subject_id, kind=kind)

    def complete(self, result: JsonObject | None = None) -> None:
        """It is done, or known never to come; what is known of it first stays."""
        if self.done_at is None:
            self.done_at, self.result = now(), result

    def add_facts(self, facts: JsonObject) -> None:
        """More is known of it."""
        self.result = {**(self.result or {}), **facts}

    def complete_again(self, result: JsonObject | None = None) -> None:
        """It was done once more; what is known of it last counts."""
        self.done_at, self.result = now(), result


def is_due_condition() -> ColumnElement[bool]:
    """Whether an effect may be looked into now: it was not put off, or the pause is over."""
    return or_(col(Effect.next_attempt_at).is_(None), col(Effect.next_attempt_at) <= now())


def effect_key(subject_id: str, kind: EffectKind) -> str:
    return f"{subject_id}:{kind}"


async def record_intent(session: AsyncSession, subject_id: str, kind: EffectKind) -> Effect:
    """The effect's row, held until the commit; made where it is missing."""
    values = Effect.new_intent(subject_id, kind).model_dump()
    await session.execute(insert(Effect).values(values).on_conflict_do_nothing())
    return await session.get_one(Effect, values["key"], with_for_update=True)
