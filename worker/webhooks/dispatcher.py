"""The dispatcher: polls for new events, and wakes the workflows of the endpoints that want them.

One worker of all dispatches at a time, the one that holds a lock of the database; when it dies its connection
does, and another takes over.  It keeps nothing: whoever begins looks at every endpoint once, and the sweep
does so twice a minute.  Endpoints without news cost nothing, and projects without endpoints cost no write.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from temporalio.client import Client
from temporalio.service import RPCError

from activities.webhooks.waking import find_endpoints_behind, wake_endpoint
from kit.database import Database
from kit.errors import Unavailable
from kit.logs import logger
from kit.settings import Settings
from kit.tenancy import DatabaseRole
from models.webhooks.event_polling import EventPoller

ADVISORY_LOCK_KEY: Final = 0x77_65_62_69
"""Of PostgreSQL's advisory locks: held by the one that dispatches.  Workers of before hold another one."""
POLL_SECONDS: Final = 0.2
RETRY_SECONDS: Final = 2.0
QUERY_TIMEOUT_SECONDS: Final = 10.0
"""How long the connection that holds the lock may take to answer."""

log = logger(__name__)


@asynccontextmanager
async def run_dispatcher(settings: Settings, database: Database, client: Client) -> AsyncIterator[None]:
    """Dispatch, or stand by, until the block ends."""
    dispatcher = Dispatcher(settings.sqlalchemy_url.replace("+psycopg", "", 1), database, client)
    task = asyncio.create_task(dispatcher.run(), name="webhook-dispatcher")
    task.add_done_callback(_report)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _report(task: asyncio.Task[None]) -> None:
    """The sweep goes on waking, but an operator should know."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("webhooks.dispatcher_died", exc_info=error)


class Dispatcher:
    def __init__(self, conninfo: str, database: Database, client: Client) -> None:
        self._conninfo = make_conninfo(
            conninfo,
            application_name="codecourier-webhook-dispatcher",
            options=DatabaseRole.worker.option,
            connect_timeout=5,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=2,
            tcp_user_timeout=15_000,
        )
        self._database, self._client = database, client

    async def run(self) -> None:
        """For ever; whatever is unreachable is tried again."""
        while True:
            try:
                connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
                async with connection:
                    await self._wait_for_lock(connection)
                    await self._dispatch(connection)
            except (psycopg.Error, OSError, TimeoutError, Unavailable, RPCError) as error:
                log.warning("webhooks.dispatcher_lost", reason=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    async def _wait_for_lock(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        """Until no other worker dispatches."""
        while True:
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK_KEY])
            if await cursor.fetchone() == (True,):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _dispatch(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        async def fetch(sql: str, parameters: Mapping[str, object]) -> Sequence[TupleRow]:
            """On the connection that holds the lock: whoever lost it has lost the lock."""
            async with asyncio.timeout(QUERY_TIMEOUT_SECONDS):
                return await (await connection.execute(sql.encode(), parameters)).fetchall()

        poller = EventPoller(fetch)
        await poller.start()
        await self._wake(None)
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if projects := {owner.project_id for owner in await poller.poll()}:
                await self._wake(projects)

    async def _wake(self, projects: Collection[str] | None) -> None:
        behind = await find_endpoints_behind(self._database, projects)
        await asyncio.gather(*(wake_endpoint(self._client, each) for each in behind))
