"""The queue of a project's runs: how many are at work at a time, and which one is next.

A project may limit them (`Project.max_concurrent_runs`).  A run that finds no room is queued: its workflow
waits, and asks again when it is signalled that there may be room, or after a while.  Accepted runs that
Temporal does not have yet have their position, too, for a while.
"""

from datetime import timedelta
from typing import Final

from sqlalchemy import func, or_, select, tuple_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import now
from models.event import EventType, append_event
from models.projects.project import Project
from models.runs.run import Run, RunStatus

QUEUE_LOCK_ID: Final = 0x71756575
"""Advisory lock, with the project: two that ask at once are answered one after the other."""
START_GRACE: Final = timedelta(minutes=5)
"""How long a run that Temporal does not have yet keeps its position."""
ACTIVE_STATUSES: Final = (RunStatus.running, RunStatus.paused)


async def start_or_enqueue(session: AsyncSession, run: Run) -> None:
    """Temporal has the run, whose row the caller holds: it begins if there is room, or is queued.

    Safe to repeat: one that has begun, or is over, stays as it is.
    """
    if run.is_finished or run.started_at is not None:
        return
    if await _can_start(session, run):
        if run.mark_started():
            append_event(session, run, EventType.run_started)
    elif run.queue():
        append_event(session, run, EventType.run_queued)


async def _can_start(session: AsyncSession, run: Run) -> bool:
    limit = await _load_limit(session, run.project_id)
    if limit is None:
        return True
    if run.status is not RunStatus.pending:  # held by a person, whom it waits for first
        return False
    await session.execute(select(func.pg_advisory_xact_lock(QUEUE_LOCK_ID, func.hashtext(run.project_id))))
    return await _count_active(session, run.project_id) + await _count_ahead(session, run) < limit


async def admissible_runs(session: AsyncSession, project_id: str) -> list[str]:
    """The queued runs that may begin by now, in their order."""
    limit = await _load_limit(session, project_id)
    waiting = (
        select(col(Run.id))
        .where(
            col(Run.project_id) == project_id,
            col(Run.status) == RunStatus.pending,
            col(Run.queued_at).is_not(None),
        )
        .order_by(col(Run.priority), col(Run.id))
    )
    if limit is not None:
        waiting = waiting.limit(max(limit - await _count_active(session, project_id), 0))
    return [*(await session.scalars(waiting)).all()]


async def queue_position(session: AsyncSession, run: Run) -> int | None:
    """Where a queued run stands, from 1 on; None for one that is not queued, or that a person has paused."""
    if not run.is_queued or run.status is not RunStatus.pending:
        return None
    return 1 + await _count_ahead(session, run)


async def _load_limit(session: AsyncSession, project_id: str) -> int | None:
    limit: int | None = await session.scalar(
        select(col(Project.max_concurrent_runs)).where(col(Project.id) == project_id)
    )
    return limit


async def _count_ahead(session: AsyncSession, run: Run) -> int:
    """How many pending runs go before it: those of a higher priority, then older ones.

    Not those that Temporal did not take for a while, nor those of another namespace: nothing may start them.
    """
    count = select(func.count()).where(
        col(Run.project_id) == run.project_id,
        col(Run.status) == RunStatus.pending,
        or_(col(Run.queued_at).is_not(None), col(Run.created_at) > now() - START_GRACE),
        or_(col(Run.temporal_namespace).is_(None), col(Run.temporal_namespace) == run.temporal_namespace),
        tuple_(col(Run.priority), col(Run.id)) < tuple_(run.priority, run.id),
    )
    return (await session.scalar(count)) or 0


async def _count_active(session: AsyncSession, project_id: str) -> int:
    """How many have begun and are not over."""
    count = select(func.count()).where(
        col(Run.project_id) == project_id,
        col(Run.status).in_(ACTIVE_STATUSES),
        col(Run.started_at).is_not(None),
    )
    return (await session.scalar(count)) or 0
