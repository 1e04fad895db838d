"""One engine a process, one session per request or activity, one commit at its edge."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session, SessionTransaction
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.sql_pool import KEEPALIVES, SqlPool
from kit.tenancy import NAME_PROJECT, DatabaseRole


@dataclass(frozen=True)
class Timeouts:
    """How long, in seconds, one session may hold up others, whatever becomes of its process."""

    lock: float = 10.0
    """To wait for a row that another transaction holds."""
    idle: float = 30.0
    """To hold a transaction open and say nothing: its host froze or is gone."""
    statement: float = 120.0

    @property
    def options(self) -> str:
        """As a connection tells them to the server."""
        settings = {
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle,
            "statement_timeout": self.statement,
        }
        return " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in settings.items())


DEFAULT_TIMEOUTS: Final = Timeouts()

PROJECT: Final = "project"
"""In the `info` of a session: the project, or `EVERY_PROJECT`, that its transactions name."""


def driver_url(url: str) -> str:
    """A PostgreSQL address with the driver named in it, as SQLAlchemy wants it."""
    return f"postgresql+psycopg://{url.split('://', 1)[1]}"


@event.listens_for(Session, "after_begin")
def _name_project(session: Session, _: SessionTransaction, connection: Connection) -> None:
    if (project := session.info.get(PROJECT)) is not None:
        connection.exec_driver_sql(NAME_PROJECT, {"project": project})


class Database:
    """The rows, reached over a pool of connections."""

    def __init__(
        self,
        url: str,
        *,
        role: DatabaseRole | None,
        pool_size: int = 10,
        pre_ping: bool = True,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        """role: what the process takes on; None to stay whoever the address names.

        pre_ping: check every connection before use; whoever is retried anyway can do without.
        """
        self._role = role
        self._info: dict[Any, Any] = {}
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=pre_ping,
            pool_timeout=10,
            pool_use_lifo=True,
            connect_args={
                "prepare_threshold": 1,  # our statements are few and come again and again
                "options": " ".join([timeouts.options, *([role.option] if role else [])]),
                **KEEPALIVES,
            },
        )
        self._autocommitting = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        conninfo = url.replace("+psycopg", "", 1)
        self.sql = SqlPool(conninfo, pool_size, name="codecourier-statements", role=role, read_only=False)

    def for_project(self, project: str) -> Self:
        """The same connections, where the role sees no project's rows but those of the one that is named."""
        if self._role is None or self._role.sees_every_project:
            return self
        bound = copy.copy(self)
        bound._info, bound.sql = {PROJECT: project}, self.sql.for_project(project)
        return bound

    def session(self) -> AsyncSession:
        """A session that its caller commits and closes."""
        return AsyncSession(self.engine, expire_on_commit=False, info=self._info)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commit when the block ends well, roll back when it does not."""
        async with self.session() as session, session.begin():
            yield session

    @asynccontextmanager
    async def read_only(self) -> AsyncIterator[AsyncSession]:
        """Only read, and nothing else: each statement sees what is committed by then.

        Without a transaction, unless one has to name the project.
        """
        if self._info:
            async with self.session() as session:
                yield session
            return
        async with AsyncSession(self._autocommitting, autoflush=False) as session:
            yield session

    async def close(self) -> None:
        await self.sql.close()
        await self.engine.dispose()
