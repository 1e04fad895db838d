"""Open calls: model calls that the provider answers, so that they are paid for, and that are not charged yet.

The row comes when the answer begins, and goes in the transaction that charges the call.  What an attempt
leaves that is killed meanwhile is charged by the reconciler, as far as the provider had said.
"""

import datetime as dt

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Json, Table, Timestamp, now


class OpenCall(Table, table=True):
    source_id: str = Field(primary_key=True)
    """Of the message that is to hold the answer."""
    session_id: str = Field(foreign_key="agent_session.id", index=True, ondelete="CASCADE")
    project_id: str = Field(foreign_key="project.id", index=True, ondelete="CASCADE")
    job_id: str
    sequence: int
    """Of that message."""
    model: str
    usage: dict[str, int] = Field(sa_type=Json)
    """Tokens so far, in the words of `gateways.anthropic.conversation.Usage`."""
    counts_for_quota: bool
    """Whether the project's quota of the server's key counts it, whenever it is charged."""
    opened_at: dt.datetime = Field(default_factory=now, sa_type=Timestamp)


async def record_open_call(session: AsyncSession, call: OpenCall) -> None:
    """Write it down; once."""
    await session.execute(insert(OpenCall).values(call.model_dump()).on_conflict_do_nothing())
