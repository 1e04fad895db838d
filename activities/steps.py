"""A step of a run: its row, its agent session and its prompt, as one statement past the session (ADR 7).

Safe to repeat: a step is found again by run, index and iteration, and ends only once.
"""

from typing import Final

from pydantic import BaseModel
from temporalio import activity

from activities.agent_sessions import new_session
from activities.prompts import StepPrompt, user_prompt
from activities.snapshots import snapshot_of
from activities.step_outputs import OUTPUTS, Row, step_outputs
from activities.telling import PROGRESSED, TELL, told
from kit.database import Database
from kit.direct import jsonb
from models import AgentSession, RunStep
from models.base import JsonObject
from models.event import EventType
from models.job_snapshot import Snapshot
from models.run_step import StepStatus

_BEFORE: Final = """
    SELECT project_id, {outputs}, (
        SELECT json_build_array(step.id, agent.id, agent.max_turns)
        FROM run_step AS step JOIN agent_session AS agent ON agent.step_id = step.id
        WHERE run_id = run.id AND step.index = %(index)s AND iteration = %(iteration)s
    )
    FROM run WHERE id = %(run)s
"""
"""Whose run it is, what its finished steps put out, and this step if it has begun."""
_BEGIN: Final = """
    WITH step AS (
        INSERT INTO run_step SELECT * FROM jsonb_populate_record(NULL::run_step, %(step)s)
        ON CONFLICT (run_id, index, iteration) DO NOTHING RETURNING id
    ), agent AS (
        INSERT INTO agent_session
        SELECT given.* FROM step, jsonb_populate_record(NULL::agent_session, %(agent)s) AS given
    ), told AS (
        INSERT INTO message
        SELECT given.* FROM step, jsonb_populate_record(NULL::message, %(prompt)s) AS given
    ), changed AS (
        UPDATE run SET event_seq = event_seq + 1, current_iteration = %(iteration)s,
            current_step_label = %(label)s, {progressed}
        FROM step WHERE run.id = %(run)s
        RETURNING project_id, run.id, event_seq
    )
    {tell} RETURNING id
"""


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
        direct = self.database.direct
        asked = {"run": begin.run_id, "index": begin.index, "iteration": begin.iteration}
        before = _BEFORE.format(outputs=OUTPUTS)
        [[project_id, outputs, begun]] = await direct.fetch(before, asked)
        if begun is None:
            snapshot = await snapshot_of(direct, begin.run_id)
            step, session, values = _rows(begin, project_id, snapshot, outputs)
            if await direct.fetch(_BEGIN.format(progressed=PROGRESSED, tell=TELL), {**asked, **values}):
                return StepBegun(step_id=step.id, session_id=session.id, max_turns=session.max_turns)
            [[_, _, begun]] = await direct.fetch(before, asked)  # another execution was quicker
        step_id, session_id, max_turns = begun
        return StepBegun(step_id=step_id, session_id=session_id, max_turns=max_turns)

    @activity.defn
    async def finish_step(self, finish: FinishStep) -> None:
        """End a step that its session did not end by itself: stopped, failed or cancelled."""
        async with self.database.transaction() as session:
            step = await session.get_one(RunStep, finish.step_id, with_for_update=True)
            step.close(finish.status)


def _rows(
    begin: BeginStep, project_id: str, snapshot: Snapshot, outputs: list[Row]
) -> tuple[RunStep, AgentSession, dict[str, object]]:
    """What a step leaves when it begins: its row, its session's, and all of it by the names of `_BEGIN`."""
    step = snapshot.steps[begin.index]
    row = RunStep(
        project_id=project_id, run_id=begin.run_id, index=step.index, iteration=begin.iteration,
        role=step.role, label=step.label, persona_id=step.persona_id, model=step.model,
        thinking_effort=step.thinking_effort, sandbox_ids=[begin.sandbox_id],
    )  # fmt: skip
    session, prompt = new_session(
        project_id, begin.run_id, snapshot, step, step.role.kind,
        user_prompt(StepPrompt(snapshot, step, begin.iteration, step_outputs(outputs))),
        sandbox_id=begin.sandbox_id, step_id=row.id,
    )  # fmt: skip
    data: JsonObject = {
        "stepId": row.id, "index": step.index, "role": step.role, "label": step.label,
        "iteration": begin.iteration,
    }  # fmt: skip
    return row, session, {
        "step": jsonb(row.model_dump(mode="json")), "agent": jsonb(session.model_dump(mode="json")),
        "prompt": jsonb(prompt.model_dump(mode="json")), "label": step.label,
        "progress": f"{step.label}, iteration {begin.iteration}", **told(EventType.step_started, data),
    }  # fmt: skip
