"""What a run's workflow writes about itself: short transactions on our own database, as local activities.

Each is safe to repeat: a status that is already there, a step that is already closed, or a row that already
exists is left as it is, and its event is not written again.
"""

from typing import Final

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity

from activities.jobs import CloseJob
from activities.snapshots import snapshot_of
from activities.telling import TELL, told
from activities.user_words import has_queued
from kit.database import Database
from models import Run, RunStep
from models.event import EventType, append
from models.job_snapshot import Snapshot, iterations
from models.run import RunStatus
from models.run_ending import announce

_TAKE: Final = """
    WITH changed AS (
        UPDATE run SET event_seq = event_seq + 1, status = 'running', started_at = %(now)s
        WHERE id = %(run)s AND status = 'pending' RETURNING project_id, id, event_seq
    ), told AS ({tell})
    SELECT completed_at IS NOT NULL FROM run WHERE id = %(run)s
"""
_LAST_SCORE: Final = (
    select(col(RunStep.quality_score))
    .where(col(RunStep.run_id) == col(Run.id), col(RunStep.quality_score).is_not(None))
    .order_by(col(RunStep.id).desc())
    .limit(1)
    .scalar_subquery()
)
"""What the run's last evaluator or judge gave it."""


class StepPlan(BaseModel):
    index: int
    label: str
    gives_verdict: bool
    has_pre_scripts: bool
    has_post_scripts: bool


class BlockPlan(BaseModel):
    """Steps that repeat together, at most `iterations` times."""

    iterations: int
    steps: list[StepPlan]


class RunPlan(BaseModel):
    blocks: list[BlockPlan]
    create_pr: bool
    max_cost_usd: float | None
    time_limit_seconds: int


class Note(BaseModel):
    """What was done to a run at work."""

    run_id: str
    event: EventType


class RunActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_run(self, run_id: str) -> RunPlan | None:
        """Take the run, unless the API already did; None when it was cancelled before it began."""
        values = {"run": run_id, **told(EventType.run_started, {})}
        [[is_over]] = await self.database.direct.fetch(_TAKE.format(tell=TELL), values)
        return None if is_over else _plan(await snapshot_of(self.database.direct, run_id))

    @activity.defn
    async def has_follow_ups(self, run_id: str) -> bool:
        """Whether a client's message waits that no agent was told yet; read only."""
        return await has_queued(self.database.direct, run_id)

    @activity.defn
    async def note(self, note: Note) -> None:
        """Pause, resume or stop, on the row and in the log; said twice, it is written once."""
        async with self.database.transaction() as session:
            run = await session.get_one(Run, note.run_id, with_for_update=True)
            if run.status.is_final:
                return
            if note.event is EventType.run_paused:
                changed = run.status is not RunStatus.paused
                run.pause()
            elif note.event is EventType.run_resumed:
                changed = run.status is RunStatus.paused
                run.resume()
            else:
                changed = True
            if changed:
                append(session, run, note.event)

    @activity.defn
    async def close_run(self, close: CloseJob) -> RunStatus:
        """The last word: status, event and notifications in one transaction; the first ending stays."""
        async with self.database.transaction() as session:
            held = select(Run, _LAST_SCORE).where(col(Run.id) == close.job_id).with_for_update(of=Run)
            run: Run
            run, score = (await session.execute(held)).one()
            ending = close.ending
            if run.close(RunStatus(ending.status), code=ending.code, message=ending.message):
                run.quality_score = score
                await announce(session, run)
        return run.status


def _plan(snapshot: Snapshot) -> RunPlan:
    blocks = [
        BlockPlan(
            iterations=iterations(block),
            steps=[
                StepPlan(
                    index=step.index, label=step.label, gives_verdict=step.role.gives_verdict,
                    has_pre_scripts=bool(step.pre_scripts), has_post_scripts=bool(step.post_scripts),
                )
                for step in block
            ],
        )
        for block in snapshot.blocks
    ]  # fmt: skip
    cost = snapshot.config.max_cost_usd
    return RunPlan(
        blocks=blocks,
        create_pr=snapshot.config.create_pr,
        max_cost_usd=float(cost) if cost else None,
        time_limit_seconds=snapshot.config.sandbox.timeout_ms // 1000,
    )
