"""A process that froze or vanished holds up nobody for long, and broken connections are replaced."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.database import Database, Timeouts
from kit.errors import Unavailable
from kit.settings import Settings
from kit.sql_pool import SqlPool
from tests.conftest import ProjectKey

HOLD = "SELECT id FROM project WHERE id = :id FOR UPDATE"


async def test_a_waiting_transaction_gives_up_at_the_lock_timeout(
    settings: Settings, project: ProjectKey
) -> None:
    database = Database(settings.sqlalchemy_url, role=None, timeouts=Timeouts(lock=0.2))
    async with database.transaction() as holder:
        await holder.execute(text(HOLD), {"id": project.id})
        with pytest.raises(OperationalError, match="lock timeout"):
            async with database.transaction() as waiting:
                await waiting.execute(text(HOLD), {"id": project.id})
    await database.close()


async def test_a_frozen_holder_of_a_row_loses_it(settings: Settings, project: ProjectKey) -> None:
    """As a host that lost its power in the middle of a transaction: it never says anything again."""
    frozen = Database(settings.sqlalchemy_url, role=None, timeouts=Timeouts(idle=0.5))
    database = Database(settings.sqlalchemy_url, role=None)
    holder = AsyncSession(frozen.engine)
    await holder.execute(text(HOLD), {"id": project.id})
    async with database.transaction() as other:  # waits no longer than the holder may be silent
        assert (await other.execute(text(HOLD), {"id": project.id})).scalar_one() == project.id
    with pytest.raises(DBAPIError):
        await holder.commit()
    await holder.close()
    await frozen.close()
    await database.close()


async def test_transactions_have_timeouts_by_default(database: Database) -> None:
    async with database.transaction() as session:
        for name in ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout"):
            assert (await session.execute(text(f"SHOW {name}"))).scalar_one() != "0"


def conninfo(settings: Settings) -> str:
    return settings.sqlalchemy_url.replace("+psycopg", "", 1)


async def test_a_statement_survives_the_loss_of_every_connection(settings: Settings) -> None:
    pool = SqlPool(conninfo(settings), 3, name="codecourier-test-loss", role=None, read_only=False)
    rows = await asyncio.gather(*(pool.fetch("SELECT pg_backend_pid(), pg_sleep(1)", {}) for _ in range(3)))
    assert len({row[0][0] for row in rows}) == 3
    async with await psycopg.AsyncConnection.connect(conninfo(settings), autocommit=True) as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'codecourier-test-loss'"
        )
    assert await pool.fetch("SELECT %(one)s::int", {"one": 1}) == [(1,)]
    await pool.close()


async def test_without_a_database_statements_say_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.sql_pool.CONNECTION_SECONDS", 1)
    pool = SqlPool("host=127.0.0.1 port=1", 1, name="codecourier-test-nowhere", role=None, read_only=True)
    with pytest.raises(Unavailable):
        await pool.fetch("SELECT 1", {})
    await pool.close()


async def test_a_pool_is_read_only_when_told_so(settings: Settings) -> None:
    pool = SqlPool(conninfo(settings), 1, name="codecourier-test-reads", role=None, read_only=True)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await pool.fetch("CREATE TABLE nothing (id int)", {})
    assert await pool.fetch("SELECT 1", {}) == [(1,)], "a refused statement leaves the connection usable"
    await pool.close()
