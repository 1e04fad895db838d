"""Waiting until somebody waits for a row: so that a test decides what happens first."""

import asyncio

from sqlalchemy import TextClause, text

from kit.database import Database
from tests.support.superuser import superuser
from tests.support.waiting import TEST_TIMEOUT_SECONDS

LOCK_WAITERS_QUERY = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def wait_for_lock_waiter(database: Database) -> None:
    """Until a transaction on this database waits for what another one holds."""
    await wait_for_lock_waiters(database, LOCK_WAITERS_QUERY, 1)


async def wait_for_lock_waiters(database: Database, count: TextClause, many: int) -> None:
    """Until what `count` counts are so many."""
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while True:
            async with superuser(database) as session:
                if (await session.execute(count)).scalar_one() >= many:
                    return
            await asyncio.sleep(0.01)
