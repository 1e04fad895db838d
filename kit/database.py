"""One engine a process, one session per request or activity, one commit at its edge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.direct import Direct


def driver_url(url: str) -> str:
    """A PostgreSQL address with the driver named in it, as SQLAlchemy wants it."""
    return f"postgresql+psycopg://{url.split('://', 1)[1]}"


class Database:
    """The rows, reached over a pool of connections."""

    def __init__(self, url: str, *, pool_size: int = 10, pre_ping: bool = True) -> None:
        """pre_ping: check every connection before use; whoever is retried anyway can do without."""
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=pre_ping,
            pool_timeout=10,
            pool_use_lifo=True,
            connect_args={"prepare_threshold": 1},  # our statements are few and come again and again
        )
        self._autocommitting = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.direct = Direct(
            url.replace("+psycopg", "", 1), pool_size, name="codecourier-direct", read_only=False
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commit when the block ends well, roll back when it does not."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Only read, and nothing else: no transaction, each statement sees what is committed by then."""
        async with AsyncSession(self._autocommitting, autoflush=False) as session:
            yield session

    async def close(self) -> None:
        await self.direct.close()
        await self.engine.dispose()
