"""A step of a run: its row, its agent session and its prompt.

Safe to repeat: a step is found again by run, index and iteration, and ends only once.
"""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.agent.prompts import StepPrompt, user_prompt
from activities.agent.sessions import build_session
from activities.jobs.snapshots import load_snapshot
from activities.runs.step_outputs import earlier_outputs, load_step_outputs
from activities.sandboxes.records import JOB_OVER
from kit.database import Database
from models import AgentSession, Run, RunStep
from models.base import JsonObject
from models.event import EventType, append_event
from models.jobs.snapshot import Snapshot
from models.runs.run_step import StepStatus


class BeginStep(BaseModel):
    run_id: str
    sandbox_id: str
    index: int
    iteration: int


class StartedStep(BaseModel):
    step_id: str
    session_id: str
    max_turns: int

    @classmethod
    def of(cls, agent: AgentSession) -> "StartedStep":
        return cls(step_id=str(agent.step_id), session_id=agent.id, max_turns=agent.max_turns)


class FinishStep(BaseModel):
    step_id: str
    status: StepStatus


class StepActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_step(self, begin: BeginStep) -> StartedStep:
        """The step's row, its agent session and its prompt; found again by run, index and iteration."""
        snapshot = await load_snapshot(self.database, begin.run_id)
        async with self.database.transaction() as session:
            run = await session.get_one(Run, begin.run_id, with_for_update=True)
            if (found := await _find_step(session, begin)) is not None:
                return found
            if run.is_finished:
                raise ApplicationError("The run is over.", type=JOB_OVER, non_retryable=True)
            return await _create_step(session, run, begin, snapshot)

    @activity.defn
    async def finish_step(self, finish: FinishStep) -> None:
        """End a step that its session did not end by itself: stopped, failed or cancelled."""
        async with self.database.transaction() as session:
            step = await session.get_one(RunStep, finish.step_id, with_for_update=True)
            step.close(finish.status)


async def _find_step(session: AsyncSession, begin: BeginStep) -> StartedStep | None:
    statement = (
        select(AgentSession)
        .join(RunStep, col(RunStep.id) == col(AgentSession.step_id))
        .where(
            col(RunStep.run_id) == begin.run_id,
            col(RunStep.index) == begin.index,
            col(RunStep.iteration) == begin.iteration,
        )
    )
    agent: AgentSession | None = (await session.execute(statement)).scalar_one_or_none()
    return StartedStep.of(agent) if agent is not None else None


async def _create_step(session: AsyncSession, run: Run, begin: BeginStep, snapshot: Snapshot) -> StartedStep:
    """The rows that a step leaves when it begins; the caller holds the run's."""
    step = snapshot.steps[begin.index]
    row = RunStep(
        project_id=run.project_id,
        run_id=run.id,
        index=step.index,
        iteration=begin.iteration,
        role=step.role,
        label=step.label,
        persona_id=step.persona_id,
        model=step.model,
        thinking_effort=step.thinking_effort,
        sandbox_ids=[begin.sandbox_id],
    )
    outputs = [*earlier_outputs(snapshot), *await load_step_outputs(session, run.id)]
    agent, prompt = build_session(
        run.project_id,
        run.id,
        snapshot,
        step,
        snapshot.session_kind(step),
        user_prompt(StepPrompt(snapshot, step, begin.iteration, outputs)),
        sandbox_id=begin.sandbox_id,
        step_id=row.id,
    )
    for each in (row, agent, prompt):  # each refers to the one before
        session.add(each)
        await session.flush()
    run.start_step(step.label, begin.iteration)
    data: JsonObject = {
        "stepId": row.id,
        "index": step.index,
        "role": step.role,
        "label": step.label,
        "iteration": begin.iteration,
    }
    append_event(session, run, EventType.step_started, data)
    return StartedStep.of(agent)
