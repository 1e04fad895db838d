"""The feed: all events of a project in one order that never changes, read from any place of it.

Transactions commit in another order than they begin, so neither a time nor a counter alone can be the place
of an event: a reader who remembers the largest would miss what commits later with a smaller one.  Every
event therefore keeps its transaction's number, and nobody reads events of the oldest transaction at work or
of younger ones.  Those below are settled: what is there now is all there will ever be.  Within a transaction
a counter orders them.
"""

import re
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Select, select, text, tuple_
from sqlalchemy.orm import Mapped
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.event import Event

MAX_BIGINT: Final = 2**63 - 1
SETTLED_BEFORE: Final = "((pg_snapshot_xmin(pg_current_snapshot()))::text)::bigint"
"""SQL: the number of the oldest transaction that may still write, as this very statement sees it."""
_POSITION_PATTERN = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})\Z", re.ASCII)


class FeedPosition(NamedTuple):
    """A place in a feed; on the wire `742.18`."""

    xact_id: int
    position: int

    @classmethod
    def parse(cls, words: str) -> "FeedPosition":
        """Raises ValueError for what is none."""
        found = _POSITION_PATTERN.match(words)
        if found is None or max(int(found[1]), int(found[2])) > MAX_BIGINT:
            raise ValueError("no place of the feed: pass the `position` of an event, like 742.18")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.xact_id}.{self.position}"


FEED_START: Final = FeedPosition(0, 0)


def position_of(event: Event) -> FeedPosition:
    """Of an event that was read from the database."""
    if event.xact_id is None or event.position is None:
        raise ValueError("an event that is not stored yet has no place in the feed")
    return FeedPosition(event.xact_id, event.position)


async def settled_position(session: AsyncSession) -> FeedPosition:
    """The place before everything that is not settled yet: whoever reads on from it misses nothing."""
    xact_id = (await session.execute(text(f"SELECT {SETTLED_BEFORE}"))).scalar_one()
    return FeedPosition(xact_id, 0)


def events_between(project_id: str, place: FeedPosition, until: FeedPosition) -> Select[Event]:
    """The events of a project after a place, in their order; `until`: a `settled_position` of before."""
    return (
        select(Event)
        .where(col(Event.project_id) == project_id, _is_after(place), _xact() < until.xact_id)
        .order_by(_xact(), _counter())
    )


async def has_unsettled(session: AsyncSession, project_id: str, until: FeedPosition) -> bool:
    """Whether events are committed that were not to be read when `until` was the `settled_position`."""
    statement = select(col(Event.id)).where(col(Event.project_id) == project_id, _xact() >= until.xact_id)
    return (await session.execute(statement.limit(1))).first() is not None


def _is_after(place: FeedPosition) -> ColumnElement[bool]:
    return tuple_(_xact(), _counter()) > tuple_(*place)


def _xact() -> Mapped[int | None]:
    return col(Event.xact_id)


def _counter() -> Mapped[int | None]:
    return col(Event.position)
