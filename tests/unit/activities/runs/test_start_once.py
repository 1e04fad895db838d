"""What begins in a run begins once, however often and at whatever same moment it is asked for."""

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import update
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError

from activities.runs.lifecycle import RunActivities
from activities.runs.steps import BeginStep, StepActivities
from kit.database import Database
from models import AgentSession, Event, Message, Run, RunStep
from models.blueprints.blueprint import BlueprintConfig
from models.blueprints.persona import StepRole, ThinkingEffort
from models.event import EventType, append_event
from models.jobs.snapshot import Snapshot, StepSnapshot, add_job
from models.runs.run import RunStatus
from models.runs.run_step import StepStatus, Verdict
from tests.conftest import ProjectKey
from tests.factories import make_running_run
from tests.support.row_locks import wait_for_lock_waiter

AT_ONCE = 8


def a_step(index: int, role: StepRole, label: str) -> StepSnapshot:
    return StepSnapshot(
        index=index,
        role=role,
        label=label,
        model="m",
        thinking_effort=ThinkingEffort.low,
        instructions="Be good.",
        loop_id="loop",
        loop_max_iterations=3,
        max_turns=7,
    )


@pytest.fixture
async def begin(database: Database, project: ProjectKey) -> BeginStep:
    """The first step of a run with a designer and a checker that repeat."""
    blueprint, run, sandbox = make_running_run(project)
    snapshot = Snapshot(
        prompt="Add a toggle",
        config=BlueprintConfig(),
        base_branch=None,
        branch_name="b",
        claude_md=None,
        steps=[a_step(0, StepRole.designer, "Design"), a_step(1, StepRole.checker, "Check")],
        sandbox_system_prompt=None,
        git_name="n",
        git_email="e",
    )
    async with database.transaction() as session:
        session.add(blueprint)
        await session.flush()
        await add_job(session, run, snapshot)
        session.add(sandbox)
    return BeginStep(run_id=run.id, sandbox_id=sandbox.id, index=0, iteration=1)


async def told_to(database: Database, session_id: str) -> str:
    async with database.transaction() as session:
        [message] = (await session.exec(select(Message).where(col(Message.session_id) == session_id))).all()
    return str(message.content[0]["text"])


async def test_a_step_begins_once(database: Database, begin: BeginStep) -> None:
    activities = StepActivities(database)
    begun = await asyncio.gather(*(activities.begin_step(begin) for _ in range(AT_ONCE)))
    assert [each for each in begun if each != begun[0]] == []
    async with database.transaction() as session:
        run = await session.get_one(Run, begin.run_id)
        [step] = (await session.exec(select(RunStep).where(col(RunStep.run_id) == run.id))).all()
        [agent] = (await session.exec(select(AgentSession).where(col(AgentSession.job_id) == run.id))).all()
        [event] = (await session.exec(select(Event).where(col(Event.subject_id) == run.id))).all()
    assert (step.id, agent.id, agent.step_id, agent.max_turns) == (
        begun[0].step_id,
        begun[0].session_id,
        step.id,
        7,
    )
    assert (step.status, step.cost_usd, step.sandbox_ids) == (
        StepStatus.running,
        Decimal(0),
        [begin.sandbox_id],
    )
    assert (event.type, event.seq, run.event_seq) == (EventType.step_started, 1, 1)
    data = {"stepId": step.id, "index": 0, "role": "designer", "label": "Design", "iteration": 1}
    assert event.data == data
    assert (run.current_iteration, run.current_step_label) == (1, "Design")
    assert run.current_step_progress == "Design, iteration 1"
    assert "Add a toggle" in await told_to(database, agent.id)


async def test_a_step_is_told_what_those_before_it_said(database: Database, begin: BeginStep) -> None:
    activities = StepActivities(database)
    said = ((0, None, "Blue it is.", None), (1, Verdict.failed, "I looked at it.", "Too blue."))
    for index, verdict, output, feedback in said:
        begun = await activities.begin_step(begin.model_copy(update={"index": index}))
        async with database.transaction() as session:
            step = await session.get_one(RunStep, begun.step_id)
            step.close(StepStatus.completed, output=output, verdict=verdict, feedback=feedback)
    again = await activities.begin_step(begin.model_copy(update={"iteration": 2}))
    prompt = await told_to(database, again.session_id)
    assert [words for words in ("Blue it is.", "I looked at it.", "Too blue.") if words not in prompt] == []
    assert "Iteration 2 of 3." in prompt


async def test_a_run_that_is_cancelled_while_it_is_taken_is_not_taken(
    database: Database, begin: BeginStep
) -> None:
    """The API holds the row meanwhile: what is decided is decided after its commit."""
    await be_pending(database, begin.run_id)
    async with database.transaction() as session:
        run = await session.get_one(Run, begin.run_id, with_for_update=True)
        taking = asyncio.create_task(RunActivities(database).begin_run(begin.run_id))
        await wait_for_lock_waiter(database)
        run.close(RunStatus.cancelled)
        append_event(session, run, EventType.run_cancelled)
    assert await taking is None
    async with database.transaction() as session:
        events = (await session.exec(select(Event.type).where(col(Event.subject_id) == begin.run_id))).all()
    assert list(events) == [EventType.run_cancelled]


async def test_a_run_that_was_paused_before_it_was_taken_has_started(
    database: Database, begin: BeginStep
) -> None:
    await be_pending(database, begin.run_id)
    async with database.transaction() as session:
        (await session.get_one(Run, begin.run_id)).pause()
    for _ in range(2):
        assert await RunActivities(database).begin_run(begin.run_id) is not None
    async with database.transaction() as session:
        run = await session.get_one(Run, begin.run_id)
        events = (await session.exec(select(Event.type).where(col(Event.subject_id) == begin.run_id))).all()
    assert (run.status, run.started_at is not None) == (RunStatus.paused, True)
    assert list(events) == [EventType.run_started]


async def test_no_step_begins_in_a_run_that_is_over(database: Database, begin: BeginStep) -> None:
    async with database.transaction() as session:
        (await session.get_one(Run, begin.run_id)).close(RunStatus.cancelled)
    with pytest.raises(ApplicationError, match="over"):
        await StepActivities(database).begin_step(begin)


async def be_pending(database: Database, run_id: str) -> None:
    async with database.transaction() as session:
        await session.execute(update(Run).where(col(Run.id) == run_id).values(status=RunStatus.pending))


async def test_a_run_is_taken_once(database: Database, begin: BeginStep) -> None:
    await be_pending(database, begin.run_id)
    activities = RunActivities(database)
    plans = await asyncio.gather(*(activities.begin_run(begin.run_id) for _ in range(AT_ONCE)))
    assert [plan for plan in plans if plan is None or plan != plans[0]] == []
    async with database.transaction() as session:
        events = (await session.exec(select(Event.type).where(col(Event.subject_id) == begin.run_id))).all()
    assert list(events) == [EventType.run_started]
