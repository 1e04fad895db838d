"""Deliveries of GitHub's and Clerk's webhooks that were taken: one delivered again changes nothing.

GitHub signs a delivery's body and not its id, so that a body is known, too: under a new id it is the same.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Table, Timestamp, now

RETENTION = timedelta(days=7)
"""GitHub can be asked for three days to deliver again; Svix tries for less than two."""


class GithubDelivery(Table, table=True):
    id: str = Field(primary_key=True)
    """GitHub's `X-GitHub-Delivery`, after the hook's id where it came by one, or `clerk:` and Svix's id: the
    same when it is delivered again."""
    event: str
    digest: str | None = Field(default=None, unique=True)
    """Of what was signed, and by whose secret; None where the id itself is signed."""
    received_at: datetime = Field(default_factory=now, sa_type=Timestamp, index=True)


async def claim_delivery(session: AsyncSession, id: str, event: str, digest: str | None = None) -> bool:
    """Remember a delivery in the caller's transaction; False when it was taken before, by id or by digest."""
    values = {"id": id, "event": event, "digest": digest, "received_at": now()}
    row = insert(GithubDelivery).values(values).on_conflict_do_nothing()
    taken = (await session.execute(row.returning(col(GithubDelivery.id)))).one_or_none() is not None
    if taken:
        await session.execute(
            delete(GithubDelivery).where(col(GithubDelivery.received_at) < now() - RETENTION)
        )
    return taken
