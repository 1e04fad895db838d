"""One connection that listens for the whole process: which keys were revoked.

PostgreSQL's NOTIFY reaches every process, at the commit of the change itself. While the connection is lost
the listener says so, and keys are read from the database each time. A connection can be dead for long before
anybody notices, so it is asked again and again, and each answer confirms that nothing was missed until it was
asked.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import psycopg
from psycopg import AsyncConnection

from kit.logs import logger

CHECK_SECONDS = 2.0
"""How often the connection is asked whether it still lives."""
ANSWER_SECONDS = 5.0
"""How long it may take to answer."""
KEEPALIVE_OPTIONS = "keepalives_idle=10 keepalives_interval=5 keepalives_count=2 tcp_user_timeout=15000"

log = logger(__name__)


class Listener:
    """Channels are listened to from `start`; `hear` and `lost` are called on the loop and must not block."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._heard: dict[str, Callable[[str], None]] = {}
        self._lost: list[Callable[[], None]] = []
        self._confirmed: list[Callable[[float], None]] = []
        self._task: asyncio.Task[None] | None = None

    def subscribe(
        self,
        channel: str,
        heard: Callable[[str], None],
        *,
        lost: Callable[[], None] = lambda: None,
        confirmed: Callable[[float], None] = lambda asked_at: None,
    ) -> None:
        """Call `heard` with each payload, and `lost` when the connection is gone.

        confirmed: with the moment, of the monotonic clock, until which nothing was missed, every few seconds.
        """
        self._heard[channel] = heard
        self._confirmed.append(confirmed)
        self._lost.append(lost)

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="listener")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        pause = 0.1
        while True:
            try:
                connection = await AsyncConnection.connect(
                    psycopg.conninfo.make_conninfo(
                        self._conninfo, **dict(pair.split("=") for pair in KEEPALIVE_OPTIONS.split())
                    ),
                    autocommit=True,
                    connect_timeout=5,
                    application_name="codecourier-api-listener",
                )
                async with connection:
                    for channel in self._heard:
                        await connection.execute(
                            psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel))
                        )
                    pause = 0.1
                    await self._receive(connection)
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("listener lost its connection", error=type(error).__name__, again_in=pause)
            finally:
                for lost in self._lost:
                    lost()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _receive(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        while True:
            asked_at = monotonic()
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.execute("SELECT 1")
            for confirmed in self._confirmed:
                confirmed(asked_at)
            async for notice in connection.notifies(timeout=CHECK_SECONDS):
                self._heard[notice.channel](notice.payload)
