"""How long events, notifications and transcripts (agents' messages and tool calls) are kept.

What came of the work stays: runs, steps with their outputs, pull requests, usage and costs.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import lowest_id
from models.agent.session import AgentSession, Message, ToolCall
from models.event import Event
from models.jobs.job_registry import JOB_KINDS
from models.notifications.notification import Notification


async def prune_events(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete the oldest events of before a moment, except those of jobs that have not ended; how many."""
    older = col(Event.id) < lowest_id("evt", before)
    unfinished = col(Event.subject_id).in_(await _unfinished_jobs(session, before))
    return await _prune(session, Event, older & ~unfinished, limit)


async def prune_notifications(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete the oldest notifications of before a moment; how many.

    Before their events: by those it is found which notifications name somebody, or tell of a deleted job.
    """
    return await _prune(session, Notification, col(Notification.id) < lowest_id("notif", before), limit)


async def prune_messages(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete the oldest messages of before a moment, except those of jobs that have not ended; how many."""
    older = col(Message.id) < lowest_id("msg", before)
    unfinished = await _belongs_to_unfinished_job(session, Message, before)
    return await _prune(session, Message, older & ~unfinished, limit)


async def prune_tool_calls(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete the oldest tool calls of before a moment, except those of jobs that have not ended; how many."""
    older = col(ToolCall.id) < lowest_id("tool", before)
    unfinished = await _belongs_to_unfinished_job(session, ToolCall, before)
    return await _prune(session, ToolCall, older & ~unfinished, limit)


async def _belongs_to_unfinished_job(
    session: AsyncSession, table: type[Message] | type[ToolCall], before: datetime
) -> Any:
    """Whether an agent still goes on from it."""
    jobs = await _unfinished_jobs(session, before)
    return col(table.session_id).in_(select(col(AgentSession.id)).where(col(AgentSession.job_id).in_(jobs)))


async def _unfinished_jobs(session: AsyncSession, before: datetime) -> Sequence[str]:
    """Jobs that were accepted before a moment and have not ended: few, as work is counted in hours."""
    found: list[str] = []
    for kind in JOB_KINDS.values():
        is_unfinished = col(kind.table.status).in_(kind.unfinished)
        is_old = col(kind.table.id) < lowest_id(kind.prefix, before)
        found += (await session.scalars(select(col(kind.table.id)).where(is_unfinished, is_old))).all()
    return found


async def _prune(
    session: AsyncSession,
    table: type[Event] | type[Notification] | type[Message] | type[ToolCall],
    condition: Any,
    limit: int,
) -> int:
    """Rows that another transaction holds are left for the next time."""
    some = select(col(table.id)).where(condition).order_by(col(table.id)).limit(limit)
    statement = delete(table).where(col(table.id).in_(some.with_for_update(skip_locked=True)))
    return len((await session.execute(statement.returning(col(table.id)))).all())
