"""The feed of a project's events, read in pages or followed: the same events in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from api.http.pagination import CursorCodec
from api.realtime.event_stream import LogBatch, format_sse
from kit.schemas import Page
from kit.sql_pool import SqlPool, jsonb
from models.webhooks.event_patterns import matches_sql
from models.webhooks.feed import SETTLED_BEFORE, FeedPosition
from models.webhooks.schemas import FeedEventRead

BATCH_SIZE: Final = 200
_COLUMNS: Final = "id, project_id, subject_id, seq, type, created_at, data"
_EVENTS: Final = f"""
    SELECT xact_id, position, {_COLUMNS} FROM event
    WHERE project_id = %(project)s AND (xact_id, position) > (%(xact_id)s, %(position)s)
        AND xact_id < {SETTLED_BEFORE}
        AND (%(subject)s::text IS NULL OR subject_id = %(subject)s)
        AND (%(types)s::jsonb IS NULL OR {matches_sql("type", "%(types)s::jsonb")})
    ORDER BY xact_id, position LIMIT %(take)s
"""  # noqa: S608
_READ_SETTLED: Final = f"""
    SELECT {SETTLED_BEFORE},
        EXISTS (SELECT FROM event WHERE project_id = %(project)s AND xact_id >= {SETTLED_BEFORE})
"""  # noqa: S608
_COLUMN_NAMES: Final = _COLUMNS.split(", ")


@dataclass(frozen=True, slots=True)
class FeedSelection:
    """Which events of a project; `types` are patterns, none means all."""

    project_id: str
    subject_id: str | None = None
    types: Sequence[str] | None = None

    async def read(self, reads: SqlPool, after: FeedPosition, take: int) -> list[FeedEventRead]:
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
                    "position": str(FeedPosition(cast("int", row[0]), cast("int", row[1]))),
                    **dict(zip(_COLUMN_NAMES, row[2:], strict=True)),
                }
            )
            for row in rows
        ]

    @property
    def cursors(self) -> CursorCodec:
        return CursorCodec(["feed", self.project_id, self.subject_id, [*(self.types or ())]], [str])


async def read_feed_page(
    reads: SqlPool, selection: FeedSelection, after: FeedPosition, cursor: str | None, limit: int
) -> Page[FeedEventRead]:
    """A page, oldest first: after `cursor`, or without one after a place."""
    cursors = selection.cursors
    if cursor is not None:
        after = FeedPosition.parse(str(cursors.decode(cursor)[0]))
    events = await selection.read(reads, after, limit + 1)
    has_more = len(events) > limit
    following = cursors.encode([events[limit - 1].position]) if has_more else None
    return Page[FeedEventRead](data=events[:limit], next_cursor=following, has_more=has_more)


class ProjectFeed:
    """The feed as a stream follows it; it has no end."""

    def __init__(self, reads: SqlPool, selection: FeedSelection, after: FeedPosition) -> None:
        self.subject = selection.project_id
        self._reads, self._selection, self.after = reads, selection, after

    async def read(self) -> LogBatch:
        """What is unsettled is asked first: what settles in between is read, what comes later is told of.

        Up to there nothing is read again, not even what was passed over as it is of other types.
        """
        [[settled, is_unsettled]] = await self._reads.fetch(
            _READ_SETTLED, {"project": self._selection.project_id}
        )
        events = await self._selection.read(self._reads, self.after, BATCH_SIZE)
        if events:
            self.after = FeedPosition.parse(events[-1].position)
        if len(events) < BATCH_SIZE:
            self.after = max(self.after, FeedPosition(cast("int", settled), 0))
        chunks = [
            format_sse(each.position, each.type, each.model_dump_json(by_alias=True)) for each in events
        ]
        return LogBatch(chunks, is_unsettled=bool(is_unsettled))
