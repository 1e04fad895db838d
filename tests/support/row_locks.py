"""Waiting until somebody waits for a row: so that a test decides what happens first."""

import asyncio

from sqlalchemy import TextClause, text

from kit.database import Database
from tests.support.superuser import superuser
from tests.support.waiting import PATIENCE

WAITS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def until_one_waits(database: Database) -> None:
    """Until a transaction on this database waits for what another one holds."""
    await until_they_wait(database, WAITS, 1)


async def until_they_wait(database: Database, count: TextClause, many: int) -> None:
    """Until what `count` counts are so many."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with superuser(database) as session:
                if (await session.execute(count)).scalar_one() >= many:
                    return
            await asyncio.sleep(0.01)
