"""A step of a run: its row, its agent session and its prompt, in one short transaction.

Safe to repeat: a step is found again by run, index and iteration, and ends only once.
"""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity

from activities.agent_sessions import open_session
from activities.prompts import StepPrompt, outputs_of, user_prompt
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
            begun_steps = select(col(RunStep.id), AgentSession).join(AgentSession)
            statement = begun_steps.where(
                col(RunStep.run_id) == run.id, col(RunStep.index) == step.index,
                col(RunStep.iteration) == begin.iteration,
            )  # fmt: skip
            if found := (await session.execute(statement)).one_or_none():
                step_id, begun = found
                return StepBegun(step_id=step_id, session_id=begun.id, max_turns=begun.max_turns)
            row = RunStep(
                project_id=run.project_id, run_id=run.id, index=step.index, iteration=begin.iteration,
                role=step.role, label=step.label, persona_id=step.persona_id, model=step.model,
                thinking_effort=step.thinking_effort, sandbox_ids=[begin.sandbox_id],
            )  # fmt: skip
            session.add(row)
            await session.flush()
            told = StepPrompt(snapshot, step, begin.iteration, await outputs_of(session, run.id))
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
