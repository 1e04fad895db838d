"""A run's log: live as server-sent events, or in pages."""

from typing import Annotated

from fastapi import Header, Query, Request
from pydantic import Field

from api.auth import requires
from api.http.pagination import MAX_INTEGER, PageQuery
from api.http.responses import ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.realtime.event_stream import EventStream, follow_log
from api.runs.run_log import RunLog
from api.state import unit_of_work_of
from kit.schemas import QueryFlag
from models.runs.run import Run
from models.runs.run_schemas import RUNS, RunRead
from models.sandboxes.sandbox_schemas import EVENTS, EventRead

router = Router("/runs/{id}", "Runs (lifecycle actions)")
Runs = Annotated[ProjectRows[Run, RunRead], project_rows(RUNS)]
Seq = Annotated[int, Field(ge=0, le=MAX_INTEGER)]


class EventList(PageQuery):
    """Where in a run's log to begin, and how to read it."""

    after: Seq = 0
    """The sequence after which to begin; 0 for the whole log."""
    follow: QueryFlag = True
    """Whether to follow the log as server-sent events; `false` answers it in pages."""


@router.get("/events", requires("runs:read"))
async def follow_run_events(
    id: str,
    runs: Runs,
    window: Annotated[EventList, Query()],
    request: Request,
    last_event_id: Annotated[
        Seq | None, Header(description="The sequence of the last event received; goes before `after`.")
    ] = None,
) -> ItemPage[EventRead] | EventStream:
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
        return ItemPage(EVENTS, {"subject_id": run.id}, window, descending=False, after=[after])
    unit = unit_of_work_of(request)
    api, key = unit.api, request.headers.get("authorization")
    log = RunLog(unit.read_pool, run.id, after)
    chunks = follow_log(api.events, log, lambda: api.keys.authenticate(key))
    return EventStream(chunks, api.rate_limits.stream_slot(run.project_id))
