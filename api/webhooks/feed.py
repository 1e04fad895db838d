"""The feed of a project's events, read in pages or followed: the same events in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from api.http.pagination import Cursors
from api.realtime.event_stream import News, sse
from kit.schemas import Page
from kit.sql_pool import SqlPool, jsonb
from models.webhooks.event_patterns import sql_is_meant
from models.webhooks.feed import SETTLED_BEFORE, Position
from models.webhooks.schemas import FeedEventRead

BATCH: Final = 200
_COLUMNS: Final = "id, project_id, subject_id, seq, type, created_at, data"
_EVENTS: Final = f"""
    SELECT xact_id, position, {_COLUMNS} FROM event
    WHERE project_id = %(project)s AND (xact_id, position) > (%(xact_id)s, %(position)s)
        AND xact_id < {SETTLED_BEFORE}
        AND (%(subject)s::text IS NULL OR subject_id = %(subject)s)
        AND (%(types)s::jsonb IS NULL OR {sql_is_meant("type", "%(types)s::jsonb")})
    ORDER BY xact_id, position LIMIT %(take)s
"""  # noqa: S608
_PRESENT: Final = f"""
    SELECT {SETTLED_BEFORE},
        EXISTS (SELECT FROM event WHERE project_id = %(project)s AND xact_id >= {SETTLED_BEFORE})
"""  # noqa: S608
_NAMES: Final = _COLUMNS.split(", ")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events of a project; `types` are patterns, none means all."""

    project_id: str
    subject_id: str | None = None
    types: Sequence[str] | None = None

    async def read(self, reads: SqlPool, after: Position, take: int) -> list[FeedEventRead]:
        """Those after a place, in order."""
        values = {
            "project": self.project_id,
            "subject": self.subject_id,
            "take": take,
            "types": jsonb([*self.types]) if self.types else None,
            **after._asdict(),
        }
        rows = await reads.fetch(_EVENTS, values)
        return [
            FeedEventRead.model_validate(
                {
                    "position": str(Position(cast("int", row[0]), cast("int", row[1]))),
                    **dict(zip(_NAMES, row[2:], strict=True)),
                }
            )
            for row in rows
        ]

    @property
    def cursors(self) -> Cursors:
        return Cursors(["feed", self.project_id, self.subject_id, [*(self.types or ())]], [str])


async def page_of_feed(
    reads: SqlPool, selection: Selection, after: Position, cursor: str | None, limit: int
) -> Page[FeedEventRead]:
    """A page, oldest first: after `cursor`, or without one after a place."""
    cursors = selection.cursors
    if cursor is not None:
        after = Position.parse(str(cursors.decode(cursor)[0]))
    events = await selection.read(reads, after, limit + 1)
    has_more = len(events) > limit
    following = cursors.encode([events[limit - 1].position]) if has_more else None
    return Page[FeedEventRead](data=events[:limit], next_cursor=following, has_more=has_more)


class ProjectFeed:
    """The feed as a stream follows it; it has no end."""

    def __init__(self, reads: SqlPool, selection: Selection, after: Position) -> None:
        self.subject = selection.project_id
        self._reads, self._selection, self.after = reads, selection, after

    async def read(self) -> News:
        """What is unsettled is asked first: what settles in between is read, what comes later is told of.

        Up to there nothing is read again, not even what was passed over as it is of other types.
        """
        [[settled, is_unsettled]] = await self._reads.fetch(_PRESENT, {"project": self._selection.project_id})
        events = await self._selection.read(self._reads, self.after, BATCH)
        if events:
            self.after = Position.parse(events[-1].position)
        if len(events) < BATCH:
            self.after = max(self.after, Position(cast("int", settled), 0))
        chunks = [sse(each.position, each.type, each.model_dump_json(by_alias=True)) for each in events]
        return News(chunks, is_unsettled=bool(is_unsettled))
