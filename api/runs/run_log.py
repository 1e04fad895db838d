"""A run's log as a stream follows it: from any sequence on, until its last event."""

from typing import cast

from api.realtime.event_stream import LogBatch, format_sse
from kit.sql_pool import SqlPool
from models.event import EventType

BATCH = 200
_FINAL_TYPES = [kind.value for kind in EventType if kind.is_final]
_READ_EVENTS = (
    "SELECT seq, type, json_build_object('seq', seq, 'type', type, 'createdAt',"
    """ to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'data', data)::text"""
    " FROM event WHERE subject_id = %(subject)s AND seq > %(after)s ORDER BY seq LIMIT %(batch)s"
)
_READ_END = """
    SELECT completed_at IS NOT NULL,
        (SELECT seq FROM event WHERE subject_id = run.id AND type = ANY(%(last)s) LIMIT 1)
    FROM run WHERE id = %(subject)s
"""


class RunLog:
    def __init__(self, reads: SqlPool, subject: str, after: int) -> None:
        self._reads, self.subject, self._after = reads, subject, after

    async def read(self) -> LogBatch:
        values = {"subject": self.subject, "after": self._after, "batch": BATCH}
        rows = await self._reads.fetch(_READ_EVENTS, values)
        if not rows:
            for has_ended, last in await self._reads.fetch(
                _READ_END, {"subject": self.subject, "last": _FINAL_TYPES}
            ):
                # Without its last event, which is written with its end, its events were pruned.
                return LogBatch(
                    is_finished=bool(has_ended) and (last is None or cast("int", last) <= self._after)
                )
            return LogBatch(is_finished=True)
        self._after = cast("int", rows[-1][0])
        chunks = [format_sse(seq, kind, data) for seq, kind, data in rows]
        return LogBatch(chunks, is_finished=any(kind in _FINAL_TYPES for _, kind, _ in rows))
