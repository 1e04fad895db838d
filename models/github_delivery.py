"""Deliveries of GitHub's webhooks that were taken, so that one delivered again changes nothing."""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Table, Timestamp, now

KEPT = timedelta(days=7)
"""GitHub can be asked for three days to deliver again."""


class GithubDelivery(Table, table=True):
    id: str = Field(primary_key=True)
    """GitHub's `X-GitHub-Delivery`, the same when it delivers again."""
    event: str
    received_at: datetime = Field(default_factory=now, sa_type=Timestamp, index=True)


async def take_delivery(session: AsyncSession, id: str, event: str) -> bool:
    """Remember a delivery in the caller's transaction; False when it was taken before."""
    row = insert(GithubDelivery).values(id=id, event=event, received_at=now()).on_conflict_do_nothing()
    taken = (await session.execute(row.returning(col(GithubDelivery.id)))).one_or_none() is not None
    if taken:
        await session.execute(delete(GithubDelivery).where(col(GithubDelivery.received_at) < now() - KEPT))
    return taken
