"""An answer is recorded once, with its price and its events, however often that is asked for."""

from decimal import Decimal

import orjson
import pytest
from sqlmodel import col, select

from activities.conversations import Speaker, read
from activities.recording import NewMessage, Record, record
from activities.spending import Spending
from gateways.conversation import Usage
from kit.database import Database
from kit.ids import new_id
from models import AgentSession, CostRate, Event, Run, RunStep, UsageRecord
from models.agent_session import MessageRole, answer_place
from models.base import JsonObject, now
from models.event import EventType
from models.persona import StepRole, ThinkingEffort
from models.run_step import StepStatus
from models.session_kind import SessionKind
from tests.activities.rows import run_at_work
from tests.conftest import TestProject

USAGE = Usage(input=1_000_000, output=500_000)
RATE = CostRate(
    model_prefix="m", input=Decimal(3), cache_write_5m=Decimal(0), cache_write_1h=Decimal(0),
    cache_read=Decimal(0), output=Decimal(15),
)  # fmt: skip
TURN: tuple[EventType, JsonObject] = (EventType.turn_completed, {"turn": 1})


@pytest.fixture
async def speaker(database: Database, project: TestProject) -> Speaker:
    """A session in the middle of a run of its own."""
    blueprint, run, sandbox = run_at_work(project)
    step = RunStep(
        project_id=project.id, run_id=run.id, index=0, iteration=1, role=StepRole.designer, label="Work",
        model="m", thinking_effort=ThinkingEffort.low,
    )  # fmt: skip
    agent = AgentSession(
        project_id=project.id, job_id=run.id, step_id=step.id, sandbox_id=sandbox.id, kind=SessionKind.worker,
        label="Work", model="m", thinking_effort=ThinkingEffort.low, system="s", max_turns=9,
    )  # fmt: skip
    async with database.transaction() as session:
        for row in (blueprint, run, sandbox, step, agent):
            session.add(row)
            await session.flush()
    return Speaker(agent, step, None)


def an_answer(speaker: Speaker) -> NewMessage:
    return NewMessage(
        speaker.agent.id, answer_place(1), MessageRole.assistant, [{"type": "text", "text": "Done."}], now(),
        new_id("msg"), usage=USAGE.model_dump(), stop_reason="end_turn",
    )  # fmt: skip


async def counted(database: Database, speaker: Speaker) -> tuple[Run, RunStep, list[int], int]:
    """The run, the step, the sequences of the run's events, and how many usage records it has."""
    async with database.transaction() as session:
        run = await session.get_one(Run, speaker.agent.job_id)
        step = await session.get_one(RunStep, speaker.agent.step_id)
        events = await session.exec(select(Event.seq).where(col(Event.subject_id) == run.id).order_by("seq"))
        used = await session.exec(select(UsageRecord).where(col(UsageRecord.run_id) == run.id))
        return run, step, list(events.all()), len(used.all())


async def test_an_answer_recorded_twice_counts_once(database: Database, speaker: Speaker) -> None:
    message = an_answer(speaker)
    spent = Spending.of(speaker, USAGE, RATE, message.id)
    said = Record(message, [TURN, (EventType.step_completed, {})], progress="Work: turn 1")
    recorded = await record(database.direct, speaker, spent, said)
    assert recorded == (10.5, message.content)
    assert await record(database.direct, speaker, spent, said) is None
    other = an_answer(speaker)
    spent = Spending.of(speaker, USAGE, RATE, other.id)
    assert await record(database.direct, speaker, spent, Record(other, [TURN])) is None
    run, step, events, used = await counted(database, speaker)
    assert (run.cost_usd, run.input_tokens, run.output_tokens) == (Decimal("10.5"), 1_000_000, 500_000)
    assert (step.cost_usd, step.input_tokens, step.status) == (Decimal("10.5"), 1_000_000, StepStatus.running)
    assert (events, run.event_seq, used) == ([1, 2], 2, 2)
    assert run.current_step_progress == "Work: turn 1"
    conversation = await read(database.direct, speaker.agent)
    assert orjson.dumps(conversation.said[answer_place(1)].content) == orjson.dumps(recorded.content)
    assert conversation.standing.cost_usd == 10.5


async def test_a_turn_that_leaves_no_message_is_paid_for_once(database: Database, speaker: Speaker) -> None:
    spent = Spending.of(speaker, USAGE, RATE, "msg_" + "0" * 32)
    assert await record(database.direct, speaker, spent, Record(None, [])) == (10.5, [])
    assert await record(database.direct, speaker, spent, Record(None, [])) is None
    run, _, events, used = await counted(database, speaker)
    assert (run.cost_usd, events, used) == (Decimal("10.5"), [], 2)


@pytest.mark.parametrize("before", [StepStatus.running, StepStatus.cancelled])
async def test_a_step_ends_with_its_last_answer_unless_it_had_ended(
    database: Database, speaker: Speaker, before: StepStatus
) -> None:
    async with database.transaction() as session:
        (await session.get_one(RunStep, speaker.agent.step_id)).status = before
    message = an_answer(speaker)
    spent = Spending.of(speaker, USAGE, None, message.id)
    closing = {"status": "completed", "output": "All done.", "quality_score": 0.5}
    await record(database.direct, speaker, spent, Record(message, [TURN], closing=closing, result=closing))
    _, step, _, _ = await counted(database, speaker)
    ended = before is StepStatus.running
    assert step.status is (StepStatus.completed if ended else StepStatus.cancelled)
    assert step.output == ("All done." if ended else None)
    assert step.quality_score == (0.5 if ended else None)
    assert (await read(database.direct, speaker.agent)).standing.finished
