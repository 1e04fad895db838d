"""What only the owner of the database server may do: see what every connection does, and `ANALYZE`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.database import Database


@asynccontextmanager
async def superuser(database: Database) -> AsyncIterator[AsyncSession]:
    """A transaction in which the process has not taken on its role."""
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL ROLE NONE"))
        yield session
