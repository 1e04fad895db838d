"""A turn is saved once, with its price and its events, and the statement writes what the rows' rules say."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest
from sqlmodel import SQLModel, col, select

from activities.agent.conversation import SessionContext, load_conversation
from activities.budgets.spending import build_spending
from gateways.anthropic.conversation import Usage
from kit.database import Database
from models import (
    AgentSession,
    Budget,
    CostRate,
    Event,
    Message,
    Reservation,
    Run,
    RunStep,
    ToolCall,
    UsageRecord,
)
from models.agent.session import MessageRole, addition_sequence, compaction_sequence, turn_sequence
from models.agent.tool_result import save_tool_result
from models.agent.transcript import StoredMessage, StoredResult, load_transcript
from models.agent.turn import TurnRecord, record_turn, save_turn
from models.base import JsonObject, now
from models.budgets.reservation import ModelCall, reserve
from models.event import EventType, append_event
from models.runs.run import RunStatus
from tests.conftest import ProjectKey
from tests.factories import make_agent_session, make_running_run, make_step

USAGE = Usage(input=1_000_000, output=500_000, cache_read=7, cache_write_5m=20, cache_write_1h=3)
RATE = CostRate(
    model_prefix="m",
    input=Decimal(3),
    cache_write_5m=Decimal(0),
    cache_write_1h=Decimal(0),
    cache_read=Decimal(0),
    output=Decimal(15),
)
TURN: tuple[EventType, JsonObject] = (EventType.turn_completed, {"turn": 1})
OWN = {"id", "leased_until", "run_number", "name", "source_id", "position", "xact_id", "key"}
"""Columns in which rows differ that say the same."""

Save = Callable[[Database, TurnRecord], Coroutine[Any, Any, float | None]]


async def by_statement(database: Database, turn: TurnRecord) -> float | None:
    return await save_turn(database.sql, turn)


async def by_rules(database: Database, turn: TurnRecord) -> float | None:
    async with database.transaction() as session:
        return await record_turn(session, turn)


@dataclass
class Bench:
    database: Database
    project: ProjectKey
    made: int = 0

    async def speaker(self) -> SessionContext:
        """A session in the middle of a run of its own, with money set aside for its first turn."""
        self.made += 1
        blueprint, run, sandbox = make_running_run(self.project)
        run.run_number, run.event_seq = self.made, 4
        run.waiting = {"code": "PROVIDER_LIMIT", "message": "Wait."}
        step = make_step(run)
        agent = make_agent_session(run, sandbox, step)
        agent.cut_turns = 2
        async with self.database.transaction() as session:
            for row in (blueprint, run, sandbox, step, agent):
                session.add(row)
                await session.flush()
            call = ModelCall(agent.id, turn_sequence(1), self.project.id, None, run.id, "first")
            await reserve(session, call, "m", RATE, 10, 10)
        return SessionContext(agent, step, None, run.id)

    async def change(self, speaker: SessionContext, change: Callable[[Run], object]) -> None:
        async with self.database.transaction() as session:
            change(await session.get_one(Run, speaker.agent.job_id))

    async def rows(self, speaker: SessionContext) -> dict[str, list[JsonObject]]:
        """All that a turn may change, by table, without what differs between rows that say the same."""
        agent = speaker.agent
        of_job = {
            Run: col(Run.id) == agent.job_id,
            RunStep: col(RunStep.id) == agent.step_id,
            AgentSession: col(AgentSession.id) == agent.id,
            Message: col(Message.session_id) == agent.id,
            ToolCall: col(ToolCall.session_id) == agent.id,
            UsageRecord: col(UsageRecord.run_id) == agent.job_id,
            Event: col(Event.subject_id) == agent.job_id,
            Budget: col(Budget.id) == agent.job_id,
            Reservation: col(Reservation.session_id) == agent.id,
        }
        found: dict[str, list[JsonObject]] = {}
        async with self.database.transaction() as session:
            for table, condition in of_job.items():
                rows = (await session.execute(select(cast("Any", table)).where(condition))).scalars().all()
                found[table.__name__] = sorted((_bare(row) for row in rows), key=str)
        return found


def _bare(row: SQLModel) -> JsonObject:
    """Without ids; of moments only whether they are set."""
    return {
        name: value is not None if name.endswith("_at") else value
        for name, value in row.model_dump(mode="json").items()
        if name not in OWN and not name.endswith("_id")
    }


@pytest.fixture
def bench(database: Database, project: ProjectKey) -> Bench:
    return Bench(database, project)


def a_turn(speaker: SessionContext, **more: Any) -> TurnRecord:
    message = Message(
        session_id=speaker.agent.id,
        sequence=turn_sequence(1),
        role=MessageRole.assistant,
        content=[{"type": "tool_use", "id": "call_0", "name": "bash", "input": {"b": 1, "a": "é"}}],
        usage=USAGE.model_dump(),
        stop_reason="tool_use",
        model="m",
    )
    spending = build_spending(speaker, USAGE, RATE, message.id, message.sequence, counts_for_quota=False)
    message.cost_usd = spending.cost_usd
    given = {"events": [TURN], "progress": "Work: turn 1", **more}
    return TurnRecord(speaker.agent, spending, message, **given)


@pytest.mark.parametrize("over", [False, True])
async def test_the_statement_saves_what_the_rules_say(bench: Bench, over: bool) -> None:
    ends = []
    for save in (by_statement, by_rules):
        speaker = await bench.speaker()
        if over:
            await bench.change(speaker, lambda run: run.close(RunStatus.cancelled))
        assert await save(bench.database, a_turn(speaker)) == 10.5
        ends.append(await bench.rows(speaker))
    assert ends[0] == ends[1]
    [run] = ends[0]["Run"]
    assert run["cost_usd"] == "10.50000000"
    assert run["event_seq"] == (4 if over else 5)
    assert run["current_step_progress"] == (None if over else "Work: turn 1")
    assert [each["cut_turns"] for each in ends[0]["AgentSession"]] == [0]
    assert (len(ends[0]["UsageRecord"]), ends[0]["Reservation"]) == (4, [])


@pytest.mark.parametrize("save", [by_statement, by_rules])
async def test_a_turn_saved_twice_counts_once(bench: Bench, save: Save) -> None:
    speaker = await bench.speaker()
    other = a_turn(speaker)
    assert await save(bench.database, a_turn(speaker)) == 10.5
    before = await bench.rows(speaker)
    assert await save(bench.database, other) is None
    assert await by_rules(bench.database, other) is None
    assert await bench.rows(speaker) == before


async def test_of_many_that_save_one_turn_one_does(bench: Bench) -> None:
    speaker = await bench.speaker()
    saves = [save(bench.database, a_turn(speaker)) for save in (by_statement, by_rules) * 4]
    costs = await asyncio.gather(*saves)
    assert sorted(cost for cost in costs if cost is not None) == [10.5]
    [event] = (await bench.rows(speaker))["Event"]
    assert (event["seq"], event["data"]) == (5, {"turn": 1, "costUsd": 10.5})


async def test_a_turn_without_a_message_is_paid_for_once(bench: Bench) -> None:
    speaker = await bench.speaker()
    spending = build_spending(
        speaker, USAGE, RATE, "msg_" + "0" * 32, compaction_sequence(1), counts_for_quota=False
    )
    turn = TurnRecord(speaker.agent, spending, None)
    assert await by_rules(bench.database, turn) == 10.5
    assert await by_rules(bench.database, turn) is None
    rows = await bench.rows(speaker)
    assert (rows["Run"][0]["cost_usd"], rows["Event"], len(rows["UsageRecord"])) == ("10.50000000", [], 4)


def a_call(speaker: SessionContext, sequence: int, result: str = "fine") -> ToolCall:
    return ToolCall(
        session_id=speaker.agent.id,
        sequence=sequence,
        tool_use_id="call_0",
        name="bash",
        result=result,
        is_error=False,
        duration_ms=3,
    )


async def result_by_rules(database: Database, call: ToolCall, speaker: SessionContext) -> None:
    async with database.transaction() as session:
        session.add(call)
        run = await session.get_one(Run, speaker.agent.job_id, with_for_update=True)
        if not run.is_finished:
            run.set_progress(f"Work: {call.name}")
            append_event(session, run, EventType.tool_completed, {"name": call.name})


@pytest.mark.parametrize("over", [False, True])
async def test_the_statement_saves_a_tool_result_as_the_rules_say(bench: Bench, over: bool) -> None:
    ends = []
    for by_rule in (False, True):
        speaker = await bench.speaker()
        await bench.change(speaker, lambda run: run.start_step("Work", 1))
        if over:
            await bench.change(speaker, lambda run: run.close(RunStatus.cancelled))
        call = a_call(speaker, turn_sequence(1))
        if by_rule:
            await result_by_rules(bench.database, call, speaker)
        else:
            for _ in range(2):  # again, it changes nothing
                await save_tool_result(bench.database.sql, speaker.agent.job_id, call, {"name": "bash"})
        ends.append(await bench.rows(speaker))
    assert ends[0] == ends[1]
    assert len(ends[0]["Event"]) == (0 if over else 1)


async def test_an_id_may_be_used_again_in_a_later_message(bench: Bench) -> None:
    """As some proxies number calls: `call_0` in every answer."""
    speaker = await bench.speaker()
    for turn, text in ((1, "first"), (2, "second")):
        async with bench.database.transaction() as session:
            block: JsonObject = {"type": "tool_use", "id": "call_0", "name": "bash", "input": {}}
            session.add(
                Message(
                    session_id=speaker.agent.id,
                    sequence=turn_sequence(turn),
                    role=MessageRole.assistant,
                    content=[block],
                )
            )
        call = a_call(speaker, turn_sequence(turn), text)
        await save_tool_result(bench.database.sql, speaker.agent.job_id, call, {})
    conversation = await load_conversation(bench.database, speaker.agent)
    assert (
        conversation.answered_call_ids(turn_sequence(1))
        == conversation.answered_call_ids(turn_sequence(2))
        == {"call_0"}
    )
    assert [each.result for each in conversation.results] == ["first", "second"]


async def test_the_statement_reads_what_the_rows_hold(bench: Bench) -> None:
    speaker = await bench.speaker()
    agent = speaker.agent
    await by_statement(bench.database, a_turn(speaker))
    await save_tool_result(bench.database.sql, agent.job_id, a_call(speaker, turn_sequence(1)), {})
    async with bench.database.transaction() as session:
        told: list[JsonObject] = [{"type": "text", "text": "More."}]
        session.add(
            Message(
                session_id=agent.id,
                sequence=addition_sequence(2),
                role=MessageRole.user,
                content=told,
                started_at=now(),
            )
        )
    async with bench.database.transaction() as session:
        of_session = (
            select(Message).where(col(Message.session_id) == agent.id).order_by(col(Message.sequence))
        )
        messages = (await session.exec(of_session)).all()
        calls = (await session.exec(select(ToolCall).where(col(ToolCall.session_id) == agent.id))).all()
    transcript = await load_transcript(bench.database.sql, agent)
    assert transcript.messages == [
        StoredMessage(
            each.sequence, each.role, each.content, each.compaction_point, each.stop_reason, each.usage
        )
        for each in messages
    ]
    assert transcript.results == [
        StoredResult(each.sequence, each.tool_use_id, each.result, each.is_error) for each in calls
    ]
    assert transcript.has_queued is False
