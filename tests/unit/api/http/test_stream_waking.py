"""Waking streams when there are events: one poll for all of them, and none while no stream is open."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from api.realtime.event_stream import StreamRegistry
from api.realtime.stream_waker import StreamWaker
from kit.database import Database
from kit.errors import Unavailable
from kit.settings import Settings
from kit.sql_pool import SqlPool
from kit.tenancy import EVERY_PROJECT, DatabaseRole
from models import Issue
from models.event import EventType, append_event
from tests.conftest import ProjectKey
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until


class Reads(SqlPool):
    """Counts what it is asked, and refuses while it is `away`."""

    asked = 0
    is_away = False

    async def fetch(self, sql: str, parameters: Mapping[str, object]) -> list[tuple[object, ...]]:
        self.asked += 1
        if self.is_away:
            raise Unavailable("The database cannot be reached just now; please try again.")
        return [*await super().fetch(sql, parameters)]


@pytest.fixture
async def reads(settings: Settings) -> AsyncIterator[Reads]:
    conninfo = settings.sqlalchemy_url.replace("+psycopg", "", 1)
    pool = Reads(conninfo, 2, name="tests", role=DatabaseRole.api, read_only=True).for_project(EVERY_PROJECT)
    yield pool
    await pool.close()


@pytest.fixture
async def events(reads: Reads) -> AsyncIterator[StreamRegistry]:
    events = StreamRegistry()
    waker = StreamWaker(events, reads)
    waker.start()
    yield events
    await waker.close()


@pytest.fixture
async def issue(database: Database, project: ProjectKey) -> Issue:
    async with database.transaction() as session:
        issue = Issue(project_id=project.id, title="A title")
        session.add(issue)
    return issue


async def happen(database: Database, issue: Issue) -> None:
    async with database.transaction() as session:
        append_event(
            session, await session.get_one(Issue, issue.id, with_for_update=True), EventType.issue_created
        )


async def woken(flag: asyncio.Event) -> None:
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        await flag.wait()
    flag.clear()


async def test_streams_of_a_subject_and_of_its_project_are_woken_and_nobody_is_polled_for_without_them(
    events: StreamRegistry, reads: Reads, database: Database, project: ProjectKey, issue: Issue
) -> None:
    await happen(database, issue)
    await asyncio.sleep(0.3)
    assert reads.asked == 0
    for _ in range(2):
        with events.wait_for_wake(issue.id) as of_issue, events.wait_for_wake(project.id) as of_project:
            await woken(of_issue)  # it may have missed what was there before
            await woken(of_project)
            await happen(database, issue)
            await woken(of_issue)
            await woken(of_project)
        await asyncio.sleep(0.3)
        asked = reads.asked
        await asyncio.sleep(0.3)
        assert reads.asked == asked


async def test_waking_goes_on_after_an_outage_of_the_database(
    events: StreamRegistry, reads: Reads, database: Database, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.realtime.stream_waker.RETRY_SECONDS", 0.01)
    with events.wait_for_wake(issue.id) as flag:
        await woken(flag)
        reads.is_away, asked = True, reads.asked
        await wait_until(lambda: reads.asked > asked + 2)
        await happen(database, issue)
        reads.is_away = False
        await woken(flag)
        await happen(database, issue)
        await woken(flag)
