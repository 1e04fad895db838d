"""A step of a run: its row, its agent session and its prompt, in one short transaction.

Safe to repeat: a step is found again by run, index and iteration, and ends only once.
"""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.agent_sessions import open_session
from activities.prompts import StepPrompt, outputs_of, steps_of, user_prompt
from activities.snapshots import snapshot_of
from kit.database import Database
from models import AgentSession, Run, RunStep
from models.event import EventType, append
from models.run_step import StepStatus


class BeginStep(BaseModel):
    run_id: str
    sandbox_id: str
    index: int
    iteration: int


class StepBegun(BaseModel):
    step_id: str
    session_id: str
    max_turns: int


class FinishStep(BaseModel):
    step_id: str
    status: StepStatus


class StepActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_step(self, begin: BeginStep) -> StepBegun:
        """The step's row, its agent session and its prompt; found again by run, index and iteration."""
        async with self.database.transaction() as session:
            run = await session.get_one(Run, begin.run_id, with_for_update=True)
            snapshot = await snapshot_of(self.database.direct, run.id)
            step = snapshot.steps[begin.index]
            begun = await steps_of(session, run.id)
            if found := [row for row in begun if (row.index, row.iteration) == (step.index, begin.iteration)]:
                return await _found(session, found[0])
            row = RunStep(
                project_id=run.project_id, run_id=run.id, index=step.index, iteration=begin.iteration,
                role=step.role, label=step.label, persona_id=step.persona_id, model=step.model,
                thinking_effort=step.thinking_effort, sandbox_ids=[begin.sandbox_id],
            )  # fmt: skip
            session.add(row)
            await session.flush()
            told = StepPrompt(snapshot, step, begin.iteration, outputs_of(begun))
            agent = await open_session(
                session, run, snapshot, step, step.role.kind, user_prompt(told),
                sandbox_id=begin.sandbox_id, step_id=row.id,
            )  # fmt: skip
            run.current_iteration = begin.iteration
            run.progress(f"{step.label}, iteration {begin.iteration}")
            data: dict[str, object] = {
                "stepId": row.id, "index": step.index, "role": step.role, "label": step.label,
                "iteration": begin.iteration,
            }  # fmt: skip
            append(session, run, EventType.step_started, data)
        return StepBegun(step_id=row.id, session_id=agent.id, max_turns=step.max_turns)

    @activity.defn
    async def finish_step(self, finish: FinishStep) -> None:
        """End a step that its session did not end by itself: stopped, failed or cancelled."""
        async with self.database.transaction() as session:
            step = await session.get_one(RunStep, finish.step_id, with_for_update=True)
            step.close(finish.status)


async def _found(session: AsyncSession, step: RunStep) -> StepBegun:
    statement = select(AgentSession).where(col(AgentSession.step_id) == step.id)
    agent: AgentSession = (await session.execute(statement)).scalar_one()
    return StepBegun(step_id=step.id, session_id=agent.id, max_turns=agent.max_turns)
