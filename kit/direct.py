"""Statements past the session: plain autocommit connections whose statements stay prepared.

For what runs with every request or every turn of an agent.  One statement is its own transaction, so it pays
for no BEGIN, COMMIT or ping, and for no mapping of rows to objects.
"""

import asyncio
from collections.abc import Mapping, Sequence

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb, set_json_loads

from kit.errors import Unavailable

PATIENCE = 10.0
"""Seconds to wait for a connection, and for a statement."""


class Direct:
    def __init__(self, conninfo: str, size: int, *, name: str, read_only: bool) -> None:
        """`conninfo`: a libpq address; at most `size` connections, opened when needed, shown as `name`."""
        self._conninfo, self._name = conninfo, name
        self._options = f"-c statement_timeout={int(PATIENCE * 1000)}"
        if read_only:
            self._options += " -c default_transaction_read_only=on"
        self._idle: list[AsyncConnection[TupleRow]] = []
        self._places = asyncio.Semaphore(size)

    async def fetch(self, sql: str, parameters: Mapping[str, object]) -> Sequence[TupleRow]:
        """All rows of one statement that is harmless to repeat; Unavailable without a database.

        A connection found broken is replaced and the statement tried once more.
        """
        await self._place()
        try:
            try:
                return await self._fetch(sql, parameters)
            except psycopg.OperationalError:
                if self._idle:  # they are most likely as dead as the one just tried
                    await self.close()
                return await self._fetch(sql, parameters)
        except psycopg.OperationalError as error:
            raise Unavailable("The database cannot be reached just now; please try again.") from error
        finally:
            self._places.release()

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    async def _place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable("Too many requests wait for the database; please try again.") from None

    async def _fetch(self, sql: str, parameters: Mapping[str, object]) -> Sequence[TupleRow]:
        connection = self._idle.pop() if self._idle else await self._open()
        try:
            cursor = await connection.execute(sql.encode(), parameters)
            rows = await cursor.fetchall() if cursor.description else []
        except BaseException:  # cancelled or failed: its state is unknown, so nobody uses it again
            await connection.close()
            raise
        self._idle.append(connection)
        return rows

    async def _open(self) -> AsyncConnection[TupleRow]:
        connection = await AsyncConnection.connect(
            self._conninfo,
            autocommit=True,
            connect_timeout=int(PATIENCE),
            application_name=self._name,
            options=self._options,
        )
        connection.prepare_threshold = 0
        set_json_loads(orjson.loads, connection)
        return connection


def jsonb(value: object) -> Jsonb:
    """A parameter for a JSONB column."""
    return Jsonb(value, dumps=orjson.dumps)
