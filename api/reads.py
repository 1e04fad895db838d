"""Reads past the session: plain autocommit connections whose statements stay prepared.

A GET is one statement and needs no transaction, so it pays for no BEGIN, COMMIT or ping.  A connection found
broken is replaced and the read tried once more: reading twice is harmless.
"""

import asyncio
from collections.abc import Mapping, Sequence

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from kit.errors import Unavailable

PATIENCE = 10.0
"""Seconds to wait for a connection, and for a statement."""


class Reads:
    def __init__(self, conninfo: str, size: int) -> None:
        """`conninfo`: a libpq address; at most `size` connections, opened when needed."""
        self._conninfo = conninfo
        self._idle: list[AsyncConnection[TupleRow]] = []
        self._places = asyncio.Semaphore(size)

    async def fetch(self, sql: str, parameters: Mapping[str, object]) -> Sequence[TupleRow]:
        """All rows of one statement; Unavailable when the database cannot be reached."""
        await self._place()
        try:
            try:
                return await self._fetch(sql, parameters)
            except psycopg.OperationalError:
                if self._idle:  # they are most likely as dead as the one just tried
                    await self._close_idle()
                return await self._fetch(sql, parameters)
        except psycopg.OperationalError as error:
            raise Unavailable("The database cannot be reached just now; please try again.") from error
        finally:
            self._places.release()

    async def close(self) -> None:
        await self._close_idle()

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
            rows = await (await connection.execute(sql.encode(), parameters)).fetchall()
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
            application_name="codecourier-api-reads",
            options=f"-c statement_timeout={int(PATIENCE * 1000)} -c default_transaction_read_only=on",
        )
        connection.prepare_threshold = 0
        return connection

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()
