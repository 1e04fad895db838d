"""What CI says is kept as it is now, and told when it changed."""

import asyncio

from sqlmodel import col, select

from activities.runs.ci_checks import record_checks
from gateways.github.checks import CommitCheck, CommitChecks
from kit.database import Database
from models import Event, Run
from models.event import EventType
from models.runs.run import RunStatus

AT_ONCE = 8
PENDING = CommitChecks("pending", [CommitCheck("test", "pending", None)])
PASSED = CommitChecks("passed", [CommitCheck("test", "passed", None)])


async def kept(database: Database, run: Run) -> tuple[object, list[tuple[int, str, object]]]:
    """The status on the run's row, and its events."""
    async with database.transaction() as session:
        row = await session.get_one(Run, run.id)
        found = await session.exec(select(Event).where(col(Event.subject_id) == run.id).order_by("seq"))
        events = [(event.seq, event.type, event.data["status"]) for event in found.all()]
        assert row.event_seq == len(events)
        return (row.ci_checks or {}).get("status"), events


async def test_a_change_is_told_once(database: Database, run: Run) -> None:
    for facts in (PENDING, PASSED, PASSED):
        await asyncio.gather(*(record_checks(database, run.id, facts) for _ in range(AT_ONCE)))
    told = [(1, EventType.ci_updated, "pending"), (2, EventType.ci_updated, "passed")]
    assert await kept(database, run) == ("passed", told)
    async with database.transaction() as session:
        checks = (await session.get_one(Run, run.id)).ci_checks or {}
    assert checks["checks"] == [{"name": "test", "status": "success", "conclusion": "success", "url": None}]
    assert checks["checkedAt"]


async def test_a_look_that_comes_after_the_end_of_the_run_is_not_told(database: Database, run: Run) -> None:
    await record_checks(database, run.id, PENDING)
    async with database.transaction() as session:
        (await session.get_one(Run, run.id)).close(RunStatus.cancelled)
    await record_checks(database, run.id, PASSED)
    pending = (1, EventType.ci_updated, "pending")
    assert await kept(database, run) == ("pending", [pending])
    await record_checks(database, run.id, PASSED, ended=True)
    assert await kept(database, run) == ("passed", [pending, (2, EventType.ci_updated, "passed")])
