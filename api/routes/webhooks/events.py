"""The one feed of a project's events: in pages, or live as server-sent events."""

from typing import Annotated

from fastapi import Header, Query, Request
from pydantic import AfterValidator, BeforeValidator, Field

from api.auth import requires
from api.http.pagination import PageQuery
from api.http.router import Router
from api.realtime.event_stream import EventStream, follow_log
from api.state import unit_of_work_of
from api.webhooks.feed import FeedSelection, ProjectFeed, read_feed_page
from kit.schemas import Page, QueryFlag
from models.webhooks.event_patterns import Pattern
from models.webhooks.feed import FEED_START, FeedPosition
from models.webhooks.schemas import FeedEventRead

router = Router("/events", "Events")


def _parse_position(words: str) -> str:
    FeedPosition.parse(words)
    return words


def _split_types(given: object) -> object:
    """Several may come as one, with commas between them."""
    if not isinstance(given, list):
        return given
    return [part for each in given for part in (each.split(",") if isinstance(each, str) else [each])]


PositionText = Annotated[str, Field(max_length=40), AfterValidator(_parse_position)]


class FeedWindow(PageQuery):
    """Which events, and from where on."""

    types: Annotated[list[Pattern] | None, Field(max_length=100), BeforeValidator(_split_types)] = None
    """Only events of these types (`run.completed`), or of all that begin alike (`run.*`); commas separate."""
    subject_id: Annotated[str | None, Field(max_length=100)] = None
    """Only events of this run, chain, session or whatever else."""
    after: PositionText = str(FEED_START)
    """Read on from this place: the `position` of an event; unless given, from the first event of all."""
    follow: QueryFlag = False
    """`true`: server-sent events, for as long as you listen."""


@router.get("", requires("projects:read"))
async def follow_events(
    window: Annotated[FeedWindow, Query()],
    request: Request,
    last_event_id: Annotated[
        PositionText | None, Header(description="The `id` of the last event received; goes before `after`.")
    ] = None,
) -> Page[FeedEventRead] | EventStream:
    """List everything that happened in the project, oldest first, or follow it.

    The order is the same for every reader and never changes: whoever remembers the `position` of the last
    event and reads on `after` it gets every later event once, also those that are committed late. With
    `?follow=true` the feed is sent as server-sent events: `id:` is the position, `event:` the type, `data:`
    the event; `Last-Event-ID` resumes, a comment is sent every 15 seconds of silence, and the stream has no
    end.
    """
    unit = unit_of_work_of(request)
    selection = FeedSelection(unit.key.project_id, window.subject_id, window.types)
    after = FeedPosition.parse(last_event_id or window.after)
    if not window.follow or request.scope.get("head"):
        return await read_feed_page(unit.read_pool, selection, after, window.cursor, window.limit)
    api, key = unit.api, request.headers.get("authorization")
    feed = ProjectFeed(unit.read_pool, selection, after)
    chunks = follow_log(api.events, feed, lambda: api.keys.authenticate(key))
    return EventStream(chunks, api.rate_limits.stream_slot(unit.key.project_id))
