"""New events, poll by poll, in whatever order they are committed: who polls wakes those who wait for them.

PostgreSQL's NOTIFY would tell of them sooner, at a price that every writer pays (ADR 40): a transaction that
notifies holds one lock of the whole server until its commit is on disk, so writers of events would queue.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from typing import Final, NamedTuple

from psycopg.rows import TupleRow

Fetch = Callable[[str, Mapping[str, object]], Awaitable[Sequence[TupleRow]]]
"""Does one statement that reads, and sees every project."""

_SNAPSHOT: Final = """
    SELECT pg_snapshot_xmax(snapshot)::text::bigint AS xmax,
        ARRAY(SELECT pg_snapshot_xip(snapshot)::text::bigint) AS open
    FROM pg_current_snapshot() AS snapshot
"""
NEW_EVENTS: Final = f"""
    WITH now AS MATERIALIZED ({_SNAPSHOT})
    SELECT now.xmax, now.open, owner.subject_id, owner.project_id
    FROM now LEFT JOIN LATERAL (
        SELECT DISTINCT subject_id, project_id FROM event
        WHERE (xact_id >= %(xmax)s OR xact_id = ANY(%(open)s::bigint[])) AND xact_id < now.xmax
    ) AS owner ON true
"""  # noqa: S608


class EventOwner(NamedTuple):
    """Whose an event is."""

    subject_id: str
    project_id: str


class EventPoller:
    """Finds the events that were committed between two polls, over the whole installation.

    It remembers the last poll's snapshot: what could not be seen then is of a transaction that was open, or
    of a later one, and is found once, however late it is committed.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._xmax = 0
        """The first transaction that had not begun."""
        self._open: list[int] = []
        """Those before it that were not over."""

    async def start(self) -> None:
        """Every event that is committed from now on will be found.  Raises what `fetch` does."""
        [(self._xmax, self._open)] = await self._fetch(_SNAPSHOT, {})

    async def poll(self) -> Set[EventOwner]:
        """Whose events are new since the last poll, or since `start`.  Raises what `fetch` does."""
        rows = await self._fetch(NEW_EVENTS, {"xmax": self._xmax, "open": self._open})
        self._xmax, self._open = rows[0][0], rows[0][1]
        return {EventOwner(subject, project) for *_, subject, project in rows if subject is not None}
