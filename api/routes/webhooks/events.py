"""The one feed of a project's events: in pages, or live as server-sent events."""

from typing import Annotated

from fastapi import Header, Query, Request
from pydantic import AfterValidator, BeforeValidator, Field

from api.auth import needs
from api.http.pagination import Window
from api.http.router import Router
from api.realtime.event_stream import EventStream, follow
from api.state import unit_of
from api.webhooks.feed import ProjectFeed, Selection, page_of_feed
from kit.schemas import Page, QueryFlag
from models.webhooks.event_patterns import Pattern
from models.webhooks.feed import START, Position
from models.webhooks.schemas import FeedEventRead

router = Router("/events", "Events")


def _place(words: str) -> str:
    Position.parse(words)
    return words


def _separate(given: object) -> object:
    """Several may come as one, with commas between them."""
    if not isinstance(given, list):
        return given
    return [part for each in given for part in (each.split(",") if isinstance(each, str) else [each])]


Place = Annotated[str, Field(max_length=40), AfterValidator(_place)]


class FeedWindow(Window):
    """Which events, and from where on."""

    types: Annotated[list[Pattern] | None, Field(max_length=100), BeforeValidator(_separate)] = None
    """Only events of these types (`run.completed`), or of all that begin alike (`run.*`); commas separate."""
    subject_id: Annotated[str | None, Field(max_length=100)] = None
    """Only events of this run, chain, session or whatever else."""
    after: Place = str(START)
    """Read on from this place: the `position` of an event; unless given, from the first event of all."""
    follow: QueryFlag = False
    """`true`: server-sent events, for as long as you listen."""


@router.get("", needs("projects:read"))
async def follow_events(
    window: Annotated[FeedWindow, Query()],
    request: Request,
    last_event_id: Annotated[
        Place | None, Header(description="The `id` of the last event received; goes before `after`.")
    ] = None,
) -> Page[FeedEventRead] | EventStream:
    """List everything that happened in the project, oldest first, or follow it.

    The order is the same for every reader and never changes: whoever remembers the `position` of the last
    event and reads on `after` it gets every later event once, also those that are committed late. With
    `?follow=true` the feed is sent as server-sent events: `id:` is the position, `event:` the type, `data:`
    the event; `Last-Event-ID` resumes, a comment is sent every 15 seconds of silence, and the stream has no
    end.
    """
    unit = unit_of(request)
    selection = Selection(unit.key.project_id, window.subject_id, window.types)
    after = Position.parse(last_event_id or window.after)
    if not window.follow or request.scope.get("head"):
        return await page_of_feed(unit.reads, selection, after, window.cursor, window.limit)
    api, key = unit.api, request.headers.get("authorization")
    feed = ProjectFeed(unit.reads, selection, after)
    chunks = follow(api.events, feed, lambda: api.keys.check(key))
    return EventStream(chunks, api.rate_limits.streaming(unit.key.project_id))
