"""The feed of a project's events: one order for all readers, in which nothing is missed that commits late."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel.ext.asyncio.session import AsyncSession

from api.webhooks.feed import FeedSelection, ProjectFeed
from kit.database import Database
from models import Issue
from models.event import EventType, append_event
from models.webhooks.feed import FEED_START, FeedPosition
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.support.uvicorn_server import run_app
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.unit.api.runs.test_events import chunks


async def an_issue(database: Database, project: ProjectKey) -> str:
    async with database.transaction() as session:
        issue = Issue(project_id=project.id, title="A title")
        session.add(issue)
    return issue.id


async def happen(session: AsyncSession, issue_id: str, *kinds: EventType) -> None:
    issue = await session.get_one(Issue, issue_id, with_for_update=True)
    for kind in kinds:
        append_event(session, issue, kind, {"text": kind.value})


async def read(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/events", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def until_settled(client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """All events, once there are so many that may be read: other transactions hold them up for moments."""
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while len(found := await read(client, limit=100)) < count:
            await asyncio.sleep(0.02)
    return found


@pytest.fixture
async def streaming(app: FastAPI, project: ProjectKey) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        run_app(app) as url,
        httpx.AsyncClient(
            base_url=f"{url}/api/v1", headers=project.headers, timeout=TEST_TIMEOUT_SECONDS
        ) as client,
    ):
        yield client


async def test_an_event_that_commits_late_is_missed_by_nobody(
    client: httpx.AsyncClient,
    streaming: httpx.AsyncClient,
    database: Database,
    project: ProjectKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first to write is the last to commit; in between, who reads what is there must not pass it by."""
    monkeypatch.setattr("api.realtime.event_stream.POLL_SECONDS", 3_600)
    first, second = await an_issue(database, project), await an_issue(database, project)
    followed: list[dict[str, Any]] = []

    async def follow() -> None:
        async with streaming.stream("GET", "/events", params={"follow": True}) as response:
            async for chunk in chunks(response):
                followed.append(chunk)
                if len(followed) == 3:
                    return

    following = asyncio.create_task(follow())
    async with AsyncSession(database.engine) as slow:
        await happen(slow, first, EventType.issue_created)
        await slow.flush()
        async with database.transaction() as quick:
            await happen(quick, second, EventType.issue_created, EventType.issue_running)
        await asyncio.sleep(0.3)
        assert await read(client) == [], "read now, the reader's place would be behind what is not there yet"
        assert followed == []
        await slow.commit()
    events = await until_settled(client, 3)
    assert [event["subjectId"] for event in events] == [first, second, second]
    assert [event["seq"] for event in events] == [1, 1, 2]
    await asyncio.wait_for(following, TEST_TIMEOUT_SECONDS)
    assert [chunk["data"] for chunk in followed] == events
    assert [chunk["id"] for chunk in followed] == [event["position"] for event in events]
    assert await read(client, after=events[0]["position"]) == events[1:]


async def test_many_writers_at_once_and_a_reader_that_goes_on_from_its_place(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    issues = [await an_issue(database, project) for _ in range(8)]

    async def write(issue_id: str) -> None:
        for place in range(10):
            async with database.transaction() as session:
                await happen(session, issue_id, EventType.issue_running)
                await session.flush()
                await asyncio.sleep(0.001 * (place % 4))

    writing = asyncio.gather(*map(write, issues))
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while len(seen) < 80:
            seen += await read(client, after=seen[-1]["position"] if seen else "0.0", limit=7)
    await writing
    assert len({event["id"] for event in seen}) == 80
    assert seen == await read(client, limit=100)
    for issue_id in issues:
        assert [event["seq"] for event in seen if event["subjectId"] == issue_id] == [*range(1, 11)]


async def test_pages_filters_and_places(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    first, second = await an_issue(database, project), await an_issue(database, project)
    async with database.transaction() as session:
        await happen(session, first, EventType.issue_created, EventType.run_started, EventType.run_completed)
        await happen(session, second, EventType.issue_created, EventType.pr_created)
    events = await until_settled(client, 5)
    assert await ContractClient(client)("followEvents") == events
    page = (await client.get("/events", params={"limit": 2})).json()
    rest = (await client.get("/events", params={"limit": 3, "cursor": page["nextCursor"]})).json()
    assert page["data"] + rest["data"] == events
    assert (page["hasMore"], rest["hasMore"], rest["nextCursor"]) == (True, False, None)
    kinds = {
        "types=run.*": ["run.started", "run.completed"],
        "types=run.completed&types=pr.*": ["run.completed", "pr.created"],
        "types=run.completed,pr.created": ["run.completed", "pr.created"],
        "types=*": [event["type"] for event in events],
        f"subjectId={second}": ["issue.created", "pr.created"],
        f"subjectId={second}&types=issue.*": ["issue.created"],
        f"after={events[3]['position']}": ["pr.created"],
        "subjectId=nobody": [],
    }
    for query, expected in kinds.items():
        answer = await client.get(f"/events?{query}")
        assert [event["type"] for event in answer.json()["data"]] == expected, query
    assert await read(stranger) == []
    resumed = await client.get("/events", headers={"Last-Event-ID": events[2]["position"]})
    assert resumed.json()["data"] == events[3:]
    for query in (f"cursor={page['nextCursor']}&types=run.*", "cursor=x"):
        refused = await client.get(f"/events?{query}")
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "cursor")


async def test_a_follower_passes_over_once_what_it_does_not_want(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    """Else each news of a busy project would have it read the whole past again."""
    issue = await an_issue(database, project)
    feed = ProjectFeed(database.sql, FeedSelection(project.id, types=["issue.failed"]), FEED_START)

    async def happening(*kinds: EventType) -> list[bytes]:
        async with database.transaction() as session:
            await happen(session, issue, *kinds)
        found: list[bytes] = []
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            while True:
                news = await feed.read()
                found += news.chunks
                if not news.is_unsettled:
                    return found

    assert await happening(EventType.issue_created, EventType.issue_running) == []
    last = (await read(client))[-1]
    assert feed.after > FeedPosition.parse(last["position"])
    [chunk] = await happening(EventType.issue_failed, EventType.issue_running)
    assert b"event: issue.failed" in chunk
    assert await happening(EventType.issue_running) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=x", "after"),
        ("after=1", "after"),
        ("after=-1.2", "after"),
        ("after=1.99999999999999999999", "after"),
        ("after=9999999999999999999.1", "after"),
        ("types=run", "types.0"),
        ("types=%25", "types.0"),
        ("types=run.*&types=nothing.*", "types.1"),
        ("types=", "types.0"),
        ("follow=1", "follow"),
        ("limit=0", "limit"),
    ],
)
async def test_what_is_no_place_and_no_type(client: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await client.get(f"/events?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_a_stream_resumes_after_the_last_event_it_had(
    streaming: httpx.AsyncClient,
    client: httpx.AsyncClient,
    database: Database,
    project: ProjectKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.realtime.event_stream.POLL_SECONDS", 3_600)
    issue = await an_issue(database, project)
    async with database.transaction() as session:
        await happen(session, issue, EventType.issue_created, EventType.issue_running)
    first, second = await until_settled(client, 2)
    headers = {"Last-Event-ID": first["position"]}
    query: dict[str, str | bool] = {"follow": True, "types": "issue.*"}
    async with streaming.stream("GET", "/events", params=query, headers=headers) as response:
        coming = chunks(response)
        assert (await anext(coming))["data"] == second
        async with database.transaction() as session:
            await happen(session, issue, EventType.pr_created, EventType.issue_completed)
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            assert (await anext(coming))["event"] == "issue.completed"
    wrong = await client.get("/events", headers={"Last-Event-ID": "7"})
    assert wrong.status_code == 400
    assert (await client.head("/events", params={"follow": True})).status_code == 200
