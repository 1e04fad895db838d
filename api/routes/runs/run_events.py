"""A run's log: live as server-sent events, or in pages."""

from typing import Annotated

from fastapi import Header, Query, Request
from pydantic import Field

from api.auth import needs
from api.http.pagination import LARGEST_INTEGER, Window
from api.http.responses import Many
from api.http.router import Router
from api.http.rows import Rows, rows
from api.realtime.event_stream import EventStream, follow
from api.runs.run_log import RunLog
from api.state import unit_of
from kit.schemas import QueryFlag
from models.runs.run import Run
from models.runs.run_schemas import RUNS, RunRead
from models.sandboxes.sandbox_schemas import EVENTS, EventRead

router = Router("/runs/{id}", "Runs (lifecycle actions)")
Runs = Annotated[Rows[Run, RunRead], rows(RUNS)]
Seq = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


class EventList(Window):
    """Where in a run's log to begin, and how to read it."""

    after: Seq = 0
    """The sequence after which to begin; 0 for the whole log."""
    follow: QueryFlag = True
    """Whether to follow the log as server-sent events; `false` answers it in pages."""


@router.get("/events", needs("runs:read"))
async def follow_run_events(
    id: str,
    runs: Runs,
    window: Annotated[EventList, Query()],
    request: Request,
    last_event_id: Annotated[
        Seq | None, Header(description="The sequence of the last event received; goes before `after`.")
    ] = None,
) -> Many[EventRead] | EventStream:
    """Follow a run's log as server-sent events, from its beginning or from any point, until the run ends.

    Each event has `id:` (its sequence), `event:` (its type) and `data:` (`{"seq", "type", "createdAt",
    "data"}`). `Last-Event-ID` or `?after=` resume; a comment is sent every 15 seconds of silence; the
    stream ends with the run's last event. With `?follow=false` the same log is answered in pages, oldest
    first.

    `job.resumed` tells that a worker had left the run in the middle of something and another has ended it:
    `activity`, `attempt`, `reason`, `repeated` (whether it was carried out again) and `found` (what of it was
    found done).
    """
    run = await runs.get(id)
    after = window.after if last_event_id is None else last_event_id
    if not window.follow or request.scope.get("head"):
        return Many(EVENTS, {"subject_id": run.id}, window, descending=False, after=[after])
    unit = unit_of(request)
    api, key = unit.api, request.headers.get("authorization")
    log = RunLog(unit.reads, run.id, after)
    chunks = follow(api.events, log, lambda: api.keys.check(key))
    return EventStream(chunks, api.rate_limits.streaming(run.project_id))
