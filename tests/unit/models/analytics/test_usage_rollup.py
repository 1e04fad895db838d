"""The quarters of an hour always say what the records say, whatever happens to these."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, text, update
from sqlmodel import col

from kit.database import Database
from kit.ids import new_id
from models import Project, UsageRecord
from models.analytics.day_range import Days
from models.analytics.usage_schemas import UsageGrouping
from models.analytics.usage_summary import sum_usage
from models.budgets.usage import UsageUnit
from tests.conftest import ProjectKey
from tests.support.waiting import TEST_TIMEOUT_SECONDS

BEGIN = datetime(2026, 1, 15, 9, 50, tzinfo=UTC)
SPANS = {900: "15 minutes", 3_600: "1 hour", 86_400: "1 day"}
RECORDS = (
    "SELECT date_bin('{span}', created_at, '2000-01-01Z'), service, unit, count(*), sum(quantity),"
    " sum(cost_usd) FROM usage_record WHERE project_id = :id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)
ROLLED_UP = (
    "SELECT since, service, unit, sum(records), sum(quantity), sum(cost_usd) FROM usage_rollup"
    " WHERE project_id = :id AND span = {seconds} GROUP BY 1, 2, 3 HAVING sum(records) <> 0 ORDER BY 1, 2, 3"
)


def record(project: ProjectKey, minute: float = 0, **fields: object) -> UsageRecord:
    given = {
        "service": "anthropic",
        "unit": UsageUnit.input_tokens,
        "quantity": 10,
        "cost_usd": Decimal("0.1"),
        "created_at": BEGIN + timedelta(minutes=minute),
        "source_id": new_id("msg"),
    }
    return UsageRecord(project_id=project.id, **given | fields)  # type: ignore[arg-type]


async def sums(database: Database, project: ProjectKey) -> Sequence[object]:
    """What the quarters say, once it is certain that the records say the same, as hours and days do."""
    found = {}
    async with database.transaction() as session:
        for seconds, span in SPANS.items():
            records = text(RECORDS.format(span=span))
            rolled_up = text(ROLLED_UP.format(seconds=seconds))
            found[seconds] = (await session.execute(rolled_up, {"id": project.id})).all()
            assert found[seconds] == (await session.execute(records, {"id": project.id})).all()
    return found[900]


async def test_the_sums_follow_the_records(database: Database, project: ProjectKey) -> None:
    rows = [
        record(project),
        record(project, 5),
        record(project, 9.9999),
        record(project, 10),
        record(project, unit=UsageUnit.output_tokens, quantity=2_000_000_000),
        record(project, unit=UsageUnit.output_tokens, quantity=2_000_000_000),
        record(project, service="e2b", unit=UsageUnit.sandbox_seconds, cost_usd=Decimal(0), quantity=0),
    ]
    first = rows[0].id
    async with database.transaction() as session:
        session.add_all(rows)
    assert len(await sums(database, project)) == 4
    async with database.transaction() as session:
        await session.execute(
            update(UsageRecord).where(col(UsageRecord.project_id) == project.id).values(run_id="r")
        )
        await session.execute(
            update(UsageRecord)
            .where(col(UsageRecord.id) == first)
            .values(quantity=7, created_at=BEGIN + timedelta(days=1))
        )
    assert len(await sums(database, project)) == 5
    async with database.transaction() as session:
        await session.execute(delete(UsageRecord).where(col(UsageRecord.id) == first))
    assert len(await sums(database, project)) == 4
    async with database.transaction() as session:
        await session.execute(delete(UsageRecord).where(col(UsageRecord.project_id) == project.id))
    assert await sums(database, project) == []


async def test_what_is_rolled_back_was_never_used(database: Database, project: ProjectKey) -> None:
    async with database.transaction() as session:
        session.add(record(project))
        await session.flush()
        await session.rollback()
    assert await sums(database, project) == []


async def test_many_at_once_neither_wait_for_each_other_nor_lose_anything(
    database: Database, project: ProjectKey
) -> None:
    """Each writes several units, in another order, which would be deadlocks if they waited."""
    units = list(UsageUnit)

    async def use(turn: int) -> None:
        async with database.transaction() as session:
            for index in range(len(units)):
                session.add(record(project, unit=units[(index * (1 + 4 * (turn % 2)) + turn) % len(units)]))

    await asyncio.gather(*(use(turn) for turn in range(60)))
    found = await sums(database, project)
    assert [row[3] for row in found] == [60] * len(units)  # type: ignore[index]


async def test_a_project_takes_its_sums_along(database: Database, project: ProjectKey) -> None:
    async with database.transaction() as session:
        empty = Project(name="Empty", slug=new_id("slug"))
        session.add(empty)
        await session.flush()
        session.add(
            UsageRecord(
                project_id=empty.id,
                service="e2b",
                unit=UsageUnit.api_calls,
                quantity=1,
                cost_usd=Decimal(0),
                source_id=new_id("msg"),
            )
        )
    async with database.transaction() as session:
        await session.execute(delete(UsageRecord).where(col(UsageRecord.project_id) == empty.id))
        await session.execute(delete(Project).where(col(Project.id) == empty.id))
        left = text("SELECT count(*) FROM usage_rollup WHERE project_id = :id")
        assert (await session.execute(left, {"id": empty.id})).scalar_one() == 0


async def test_a_writer_waits_for_nobody(database: Database, project: ProjectKey) -> None:
    """Not even for one that holds the sum for a long time, and the next ones share a row again."""
    async with database.transaction() as slow:
        slow.add(record(project))
        await slow.flush()
        for _ in range(3):
            async with asyncio.timeout(TEST_TIMEOUT_SECONDS), database.transaction() as session:
                session.add(record(project))
    async with database.transaction() as session:
        count = text("SELECT count(*) FROM usage_rollup WHERE project_id = :id")
        assert (await session.execute(count, {"id": project.id})).scalar_one() == 2 * len(SPANS)
    assert [row[3] for row in await sums(database, project)] == [4]  # type: ignore[index]


@pytest.mark.parametrize(
    "zone",
    ["UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham", "Australia/Lord_Howe"],
)
async def test_sums_of_days_are_those_of_their_records(
    database: Database, project: ProjectKey, zone: str
) -> None:
    """Whatever they are made of: days, hours or quarters; also where the clocks change."""
    begin = datetime(2026, 3, 28, tzinfo=UTC)
    async with database.transaction() as session:
        for index in range(400):
            row = record(
                project, run_id="r", quantity=index, created_at=begin + timedelta(minutes=index * 31 - 7)
            )
            session.add(row)
    days = Days(date(2026, 3, 29), date(2026, 4, 5), zone)
    fetch = database.sql.fetch
    for grouping in UsageGrouping:
        rolled_up = await sum_usage(fetch, project.id, days, grouping, {})
        counted = await sum_usage(fetch, project.id, days, grouping, {"run_id": "r"})
        assert sorted(rolled_up) == sorted(counted)
        assert sum(each.records for each in counted) > 300
