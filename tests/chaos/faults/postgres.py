"""PostgreSQL stopped, slow, read-only, and with too few connections."""

import asyncio
import signal

import psycopg
from psycopg import sql

from local.stack.parts import database_url
from tests.chaos.environment import SIDES, FaultEnvironment
from tests.chaos.fault import fault
from tests.chaos.faults.workers import SLOW

STOPS = 4


@fault("postgres-stopped", "PostgreSQL is killed and away for 0 to 2 s, every 5 to 40 s.", alone=True)
async def postgres_stopped(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    for _ in range(STOPS):
        await stage.wait(stage.chance.uniform(5, 40))
        await stage.site.parts.restart("postgres", away=stage.chance.uniform(0, 2))


@fault("postgres-slow", "Every piece of data to and from PostgreSQL waits a fifth of a second.")
async def postgres_slow(stage: FaultEnvironment) -> None:
    for side in SIDES:
        stage.link(side, "postgres").delay = 0.2
    await stage.accept_all()
    await stage.settled()


@fault("postgres-cut", "Every connection to PostgreSQL ends, again and again.")
async def postgres_cut(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    for _ in range(20):
        await stage.wait(stage.chance.uniform(0.2, 4))
        for side in SIDES:
            stage.link(side, "postgres").cut()


@fault("postgres-read-only", "PostgreSQL refuses every write for half a minute, as after a failover.")
async def postgres_read_only(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    await stage.wait(8)
    await administer(stage, "ALTER DATABASE {} SET default_transaction_read_only = on")
    try:
        for side in SIDES:
            stage.link(side, "postgres").cut()
        await stage.wait(30)
    finally:
        await administer(stage, "ALTER DATABASE {} RESET default_transaction_read_only")
        for side in SIDES:
            stage.link(side, "postgres").cut()


@fault("postgres-crowded", "Workers have one connection each, which is slow: the pool is always exhausted.")
async def postgres_crowded(stage: FaultEnvironment) -> None:
    stage.worker_environment["DATABASE_POOL_SIZE"] = "1"
    await stage.kill_workers()
    stage.link("worker", "postgres").delay = 0.05
    await stage.accept_all(SLOW)
    await stage.settled()


async def administer(stage: FaultEnvironment, statement: str) -> None:
    """A statement about the stage's database, from another one."""
    url = database_url(stage.site.parts.plan)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(sql.SQL(statement).format(sql.Identifier(stage.site.name)))


@fault(
    "postgres-frozen",
    "PostgreSQL neither answers nor refuses for ten seconds (SIGSTOP).",
    alone=True,
)
async def postgres_frozen(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    await stage.wait(8)
    server = stage.site.parts.server("postgres")
    server.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(10)
    finally:
        server.send(signal.SIGCONT)
