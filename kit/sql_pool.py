"""A pool for single statements: autocommit connections whose statements stay prepared.

For what runs with every request or every turn of an agent.  One statement is its own transaction, so it pays
for no BEGIN, COMMIT or ping, and for no mapping of rows to objects.  Where the project has to be named, both
statements are sent together and are one transaction.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Final, Self

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable, QueryCanceled
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from kit.errors import Unavailable
from kit.tenancy import NAME_PROJECT, DatabaseRole

STATEMENT_SECONDS: Final = 10
"""How long a statement may take, the wait for a lock included."""
CONNECTION_SECONDS: Final = 5
"""How long to wait for a free connection, and for a new one."""
IDLE_SECONDS: Final = 600
LIFETIME_SECONDS: Final = 3_600


class SqlPool:
    def __init__(
        self, conninfo: str, size: int, *, name: str, role: DatabaseRole | None, read_only: bool
    ) -> None:
        """`conninfo`: a libpq address; at most `size` connections, opened when needed, shown as `name`.

        role: what they take on; None to stay whoever the address names.
        """
        self._project: str | None = None
        options = f"-c statement_timeout={STATEMENT_SECONDS * 1000}"
        if role is not None:
            options += f" {role.option}"
        if read_only:
            options += " -c default_transaction_read_only=on"
        self._pool = AsyncConnectionPool(
            conninfo,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 0,
                "connect_timeout": CONNECTION_SECONDS,
                "application_name": name,
                "options": options,
                **KEEPALIVES,
            },
            min_size=0,
            max_size=size,
            open=False,
            configure=_configure,
            name=name,
            timeout=CONNECTION_SECONDS,
            reconnect_timeout=CONNECTION_SECONDS,
            max_idle=IDLE_SECONDS,
            max_lifetime=LIFETIME_SECONDS,
        )

    def for_project(self, project: str) -> Self:
        """The same connections; each statement names this project, and must be one that answers with rows."""
        bound = copy.copy(self)
        bound._project = project
        return bound

    async def fetch(self, sql: str, parameters: Mapping[str, object]) -> Sequence[TupleRow]:
        """All rows of one statement that is harmless to repeat; Unavailable without a database.

        When its connection turns out to be broken, all are checked and the statement is tried once more.
        """
        try:
            try:
                return await self._execute(sql, parameters)
            except (LockNotAvailable, QueryCanceled, PoolTimeout):
                raise
            except psycopg.OperationalError:
                await self._pool.check()
                return await self._execute(sql, parameters)
        except PoolTimeout:
            raise Unavailable("No connection to the database is free; please try again.") from None
        except psycopg.OperationalError as error:
            raise Unavailable("The database cannot be reached just now; please try again.") from error

    @property
    def connections(self) -> int:
        """How many are open now."""
        return self._pool.get_stats().get("pool_size", 0)

    async def close(self) -> None:
        """Close all connections, for good."""
        await self._pool.close()

    async def _execute(self, sql: str, parameters: Mapping[str, object]) -> Sequence[TupleRow]:
        if self._pool.closed:
            await self._pool.open()
        async with self._pool.connection() as connection:
            if self._project is None:
                cursor = await connection.execute(sql.encode(), parameters)
                return await cursor.fetchall() if cursor.description else []
            async with connection.pipeline():
                await connection.execute(NAME_PROJECT, {"project": self._project})
                cursor = await connection.execute(sql.encode(), parameters)
                return await cursor.fetchall()


KEEPALIVES: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A server that vanished is noticed within half a minute, not when TCP gives up."""


async def _configure(connection: AsyncConnection[TupleRow]) -> None:
    set_json_loads(orjson.loads, connection)


def jsonb(value: object) -> Jsonb:
    """A parameter for a JSONB column."""
    return Jsonb(value, dumps=orjson.dumps)
