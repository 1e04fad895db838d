"""What a run's workflow writes about itself: short transactions on our own database, as local activities.

Each is safe to repeat: a status that is already there, a step that is already closed, or a row that already
exists is left as it is, and its event is not written again.
"""

from typing import Literal

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.client import Client

from activities.agent.user_messages import has_queued_messages
from activities.jobs.launch import try_start_row
from activities.jobs.lifecycle import CloseJob
from activities.jobs.snapshots import load_snapshot
from activities.runs.queue_signals import signal_next_runs
from kit.database import Database
from models import Run, RunStep
from models.event import EventType, append_event, has_event
from models.jobs.snapshot import Snapshot, max_iterations
from models.learnings.extraction_start import create_extraction
from models.runs.run import RunStatus
from models.runs.run_completion import publish_completion
from models.runs.run_queue import start_or_enqueue


class StepPlan(BaseModel):
    index: int
    label: str
    assesses: bool
    """It says what the work is worth: in a fresh sandbox, whose changes are thrown away."""
    has_pre_scripts: bool
    has_post_scripts: bool


class BlockPlan(BaseModel):
    """Steps that repeat together, at most `iterations` times."""

    iterations: int
    steps: list[StepPlan]


class GatePlan(BaseModel):
    """The command that has to pass on what is pushed; `models.blueprints.blueprint.Verify`."""

    command: str
    timeout_ms: int
    max_attempts: int


class RunPlan(BaseModel):
    blocks: list[BlockPlan]
    create_pr: bool
    time_limit_seconds: int
    first_step: int | None = None
    """The index of the step that a run begins with that goes on from another's work; None: from scratch."""
    auto_fix_attempts: int = 0
    """How often CI that failed may be fixed by the agent."""
    gate: GatePlan | None = None


class RunQueued(BaseModel):
    """The run waits for its turn."""

    is_queued: Literal[True] = True


class RunCommandNote(BaseModel):
    """What was done to a run at work."""

    run_id: str
    event: EventType


class RunActivities:
    def __init__(self, database: Database, client: Client | None = None) -> None:
        """client: starts what follows a run's end; without one, that is left to the sweep."""
        self.database, self.client = database, client

    @activity.defn
    async def begin_run(self, run_id: str) -> RunPlan | RunQueued | None:
        """Take the run, unless the API did, or let it wait; None when it was cancelled before it began.

        Killed after the commit and asked again, it finds the run taken, or queued, and says the same.
        """
        async with self.database.transaction() as session:
            run = await session.get_one(Run, run_id, with_for_update=True)
            if run.is_finished:
                return None
            await start_or_enqueue(session, run)
            if run.started_at is None:
                return RunQueued()
        return _build_plan(await load_snapshot(self.database, run_id))

    @activity.defn
    async def has_follow_ups(self, run_id: str) -> bool:
        """Whether a client's message waits that no agent was told yet; read only."""
        async with self.database.read_only() as session:
            return await has_queued_messages(session, run_id)

    @activity.defn
    async def is_run_over(self, run_id: str) -> bool:
        """Whether its row says so; read only."""
        async with self.database.read_only() as session:
            return (await session.get_one(Run, run_id)).is_finished

    @activity.defn(name="note")
    async def record_command(self, note: RunCommandNote) -> None:
        """Pause, resume or stop, on the row and in the log; said twice, it is written once."""
        async with self.database.transaction() as session:
            run = await session.get_one(Run, note.run_id, with_for_update=True)
            if run.status.is_final:
                return
            if note.event is EventType.run_paused:
                changed = run.pause()
            elif note.event is EventType.run_resumed:
                changed = run.resume()
            else:  # a run is stopped once
                changed = not await has_event(session, run.id, note.event, {})
            if changed:
                append_event(session, run, note.event)

    @activity.defn
    async def close_run(self, close: CloseJob) -> RunStatus:
        """The last word: status, event and notifications in one transaction; the first ending stays.

        The extraction of learnings is wanted in the same transaction and started after it, and who is next
        in the project's queue is told.  Killed in between, or without the engine, the extraction stays
        pending until the sweep starts it, and who is next asks by itself.
        """
        extraction = None
        async with self.database.transaction() as session:
            run = await session.get_one(Run, close.job_id, with_for_update=True)
            ending = close.ending
            if run.close(RunStatus(ending.status), code=ending.code, message=ending.message):
                if scored := await _find_last_scored_step(session, run.id):
                    run.copy_scores(scored)
                await publish_completion(session, run)
                extraction = await create_extraction(session, run)
        if self.client is not None:
            if extraction is not None:
                await try_start_row(self.client, extraction)
            await signal_next_runs(self.database, self.client, run.project_id)
        return run.status


async def _find_last_scored_step(session: AsyncSession, run_id: str) -> RunStep | None:
    """The run's last step that an evaluator or a judge ended with a score."""
    statement = (
        select(RunStep)
        .where(col(RunStep.run_id) == run_id, col(RunStep.quality_score).is_not(None))
        .order_by(col(RunStep.id).desc())
        .limit(1)
    )
    found: RunStep | None = (await session.execute(statement)).scalar_one_or_none()
    return found


def _build_plan(snapshot: Snapshot) -> RunPlan:
    blocks = [
        BlockPlan(
            iterations=max_iterations(block),
            steps=[
                StepPlan(
                    index=step.index,
                    label=step.label,
                    assesses=step.role.assesses,
                    has_pre_scripts=bool(step.pre_scripts),
                    has_post_scripts=bool(step.post_scripts),
                )
                for step in block
            ],
        )
        for block in snapshot.blocks
    ]
    fix, verify = snapshot.config.auto_fix_ci, snapshot.config.verify
    return RunPlan(
        blocks=blocks,
        create_pr=snapshot.config.create_pr,
        first_step=snapshot.continues.first_step if snapshot.continues else None,
        time_limit_seconds=snapshot.config.sandbox.timeout_ms // 1000,
        auto_fix_attempts=fix.max_attempts if fix.enabled else 0,
        gate=verify and GatePlan.model_validate(verify.model_dump()),
    )
