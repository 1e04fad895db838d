"""Polling for new events: none that commits late is missed, and none is found twice."""

from sqlalchemy import text

from kit.database import Database
from models import Issue
from models.event import EventType, append_event
from models.webhooks.event_polling import NEW_EVENTS, EventOwner, EventPoller
from tests.conftest import ProjectKey


async def an_issue(database: Database, project: ProjectKey) -> EventOwner:
    async with database.transaction() as session:
        issue = Issue(project_id=project.id, title="A title")
        session.add(issue)
    return EventOwner(issue.id, project.id)


async def happen(database: Database, issue: EventOwner) -> None:
    async with database.transaction() as session:
        row = await session.get_one(Issue, issue.subject_id, with_for_update=True)
        append_event(session, row, EventType.issue_created)


async def test_new_event_is_found_once(database: Database, project: ProjectKey) -> None:
    first, second = await an_issue(database, project), await an_issue(database, project)
    poller = EventPoller(database.sql.fetch)
    await happen(database, first)
    await poller.start()
    await poller.poll()
    await happen(database, second)
    await happen(database, second)
    found = await poller.poll()
    assert (first in found, second in found) == (False, True)
    assert second not in await poller.poll()


async def test_late_commit_is_found_and_earlier_ones_are_not_found_again(
    database: Database, project: ProjectKey
) -> None:
    late, quick = await an_issue(database, project), await an_issue(database, project)
    poller = EventPoller(database.sql.fetch)
    async with database.transaction() as session:
        row = await session.get_one(Issue, late.subject_id, with_for_update=True)
        append_event(session, row, EventType.issue_created)
        await session.flush()
        await poller.start()
        await happen(database, quick)
        found = await poller.poll()
        assert (late in found, quick in found) == (False, True)
        assert not {late, quick} & await poller.poll()
    found = await poller.poll()
    assert (late in found, quick in found) == (True, False)


async def test_poll_uses_the_index_of_transactions(database: Database) -> None:
    statement = NEW_EVENTS.replace("%(xmax)s", ":xmax").replace(
        "%(open)s::bigint[]", "CAST(:open AS bigint[])"
    )
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        found = await session.execute(text("EXPLAIN " + statement), {"xmax": 1, "open": [1]})
        plan = "\n".join(row[0] for row in found)
    assert "event_news" in plan


async def test_events_of_another_server_are_not_read(database: Database, project: ProjectKey) -> None:
    """A dump keeps the numbers of its server's transactions, which may be far ahead of this one's."""
    issue = await an_issue(database, project)
    poller = EventPoller(database.sql.fetch)
    await poller.start()
    await happen(database, issue)
    async with database.transaction() as session:
        far = text("UPDATE event SET xact_id = xact_id + 1000000000 WHERE subject_id = :id")
        await session.execute(far, {"id": issue.subject_id})
    assert issue not in await poller.poll()
