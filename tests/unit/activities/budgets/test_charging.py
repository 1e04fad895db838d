"""What is set aside for a call goes with it, however early it fails, and what was spent is counted."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError

from activities.agent.conversation import SessionContext
from activities.agent.model_caller import ModelCaller
from activities.agent.turn_store import SavedTurn, store_turn
from activities.budgets.call_reservations import MAX_CONSECUTIVE_CUTS, CallReservations
from activities.gateway_factory import GatewayFactory
from gateways.anthropic.client import ContextTooLong, TurnCut, TurnRequest
from kit.database import Database
from kit.errors import Unavailable
from kit.redaction import Redactor
from kit.settings import Settings
from kit.sql_pool import SqlPool
from models import AgentSession, CostRate, OpenCall, Run
from models.agent.session import turn_sequence
from models.agent.turn import TurnRecord, save_turn
from models.base import now
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.support.webhook_receiver import Received, Receiver, ResponseBehaviour, respond_with, run_receiver
from tests.unit.models.budgets.test_budget import SONNET
from tests.unit.models.budgets.test_reservations import ANSWER, Bench, a_bench

TOO_LONG = '{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}}'


async def test_a_call_that_fails_while_it_is_counted_leaves_nothing_set_aside(
    database: Database, settings: Settings
) -> None:
    """Its session compacts next: what was left would be short for that, and nobody would give it back."""
    bench = await a_bench(database, 1)
    [agent] = bench.sessions
    await bench.cap(agent.job_id, "0.10")
    request = TurnRequest(
        model=agent.model,
        messages=[{"role": "user", "content": [{"type": "text", "text": "Do it."}]}],
        max_tokens=ANSWER,
    )
    async with run_receiver() as model:
        model.behaviours = {
            "/v1/messages/count_tokens": respond_with(400, TOO_LONG, content_type="application/json")
        }
        reached = settings.model_copy(
            update={"anthropic_base_url": model.url(""), "anthropic_api_key": SecretStr("sk-ant-a-test")}
        )
        outside = GatewayFactory(reached, database)
        paying = CallReservations(database, ModelCaller(database, outside))
        credentials = await outside.credentials(agent.project_id)
        speaker = SessionContext(agent, None, bench.chain_id)
        with pytest.raises(ContextTooLong):
            async with paying.reserve(credentials, speaker, turn_sequence(1), request):
                raise AssertionError("it was counted first, as there is money for a shorter answer only")
        await (await outside.model_client(credentials)).close()
    assert [each.path for each in model.got] == ["/v1/messages/count_tokens"]
    assert await bench.reserved() == Decimal(0)


def a_stream(*events: dict[str, Any]) -> str:
    return "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)


STARTED = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1_000_000, "output_tokens": 1},
    },
}


def a_request(agent: AgentSession) -> TurnRequest:
    return TurnRequest(
        model=agent.model,
        messages=[{"role": "user", "content": [{"type": "text", "text": "Do it."}]}],
        max_tokens=100,
    )


@dataclass
class Asked:
    """One turn of a session, asked for as its activity does."""

    bench: Bench
    paying: CallReservations
    model: ModelCaller
    got: list[Received]
    """What the model was asked for."""

    async def turn(self) -> None:
        [agent] = self.bench.sessions
        request = a_request(agent)
        credentials = await self.model.outside.credentials(agent.project_id)
        speaker = SessionContext(agent, None, self.bench.chain_id, agent.job_id)
        async with self.paying.reserve(credentials, speaker, turn_sequence(1), request) as paid:
            await self.model.complete(credentials, paid.request, paid.meter)

    async def stored_turn(self) -> SavedTurn | None:
        """The same, and its answer stored."""
        [agent] = self.bench.sessions
        request = a_request(agent)
        credentials = await self.model.outside.credentials(agent.project_id)
        speaker = SessionContext(agent, None, self.bench.chain_id, agent.job_id)
        place = turn_sequence(1)
        async with self.paying.reserve(credentials, speaker, place, request) as paid:
            answer = await self.model.complete(credentials, paid.request, paid.meter)
            stored = await store_turn(
                self.bench.database,
                speaker,
                place,
                now(),
                answer,
                paid.rate,
                Redactor([]),
                paid.source_id,
                counts_for_quota=paid.call.counts_for_quota,
            )
            paid.is_settled = stored is not None
        return stored

    async def open_calls(self) -> list[OpenCall]:
        """Those that are not charged yet."""
        [agent] = self.bench.sessions
        async with self.bench.database.read_only() as session:
            found = await session.exec(select(OpenCall).where(col(OpenCall.session_id) == agent.id))
            return list(found.all())

    async def rows(self) -> tuple[Run, AgentSession]:
        [agent] = self.bench.sessions
        async with self.bench.database.transaction() as session:
            return await session.get_one(Run, agent.job_id), await session.get_one(AgentSession, agent.id)


@asynccontextmanager
async def asking(
    database: Database, settings: Settings, behaviour: ResponseBehaviour
) -> AsyncIterator[Asked]:
    bench = await a_bench(database, 1)
    async with run_receiver() as model:
        model.behaviours = {"/v1/messages": behaviour}
        reached = settings.model_copy(
            update={"anthropic_base_url": model.url(""), "anthropic_api_key": SecretStr("sk-ant-a-test")}
        )
        outside = GatewayFactory(reached, database)
        asked = ModelCaller(database, outside)
        async with database.transaction() as session:
            session.add(
                CostRate(project_id=bench.project.id, **SONNET.model_dump(exclude={"id", "project_id"}))
            )
        yield Asked(bench, CallReservations(database, asked), asked, model.got)
        credentials = await outside.credentials(bench.project.id)
        await (await outside.model_client(credentials)).close()


WHOLE = (
    STARTED,
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hm."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
)


async def test_an_answer_whose_record_is_not_heard_of_is_paid_for_once(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement was committed, and the connection broke before it said so."""
    lost = 0

    async def save_unheard(sql: SqlPool, turn: TurnRecord) -> float | None:
        nonlocal lost
        saved = await save_turn(sql, turn)
        if saved is None:
            return None
        lost += 1
        raise Unavailable("The database cannot be reached just now.")

    monkeypatch.setattr("activities.agent.turn_store.save_turn", save_unheard)
    monkeypatch.setattr("activities.agent.turn_store.WRITE_RETRY_SECONDS", (0.0,))
    whole = respond_with(200, a_stream(*WHOLE), content_type="text/event-stream")
    async with asking(database, settings, whole) as asked:
        assert await asked.stored_turn() is None, "it was there already"
        run, _ = await asked.rows()
        assert lost == 1
        assert (run.input_tokens, run.cost_usd) == (1_000_000, SONNET.input + SONNET.output / 1_000_000)
        assert await asked.bench.reserved() == Decimal(0)


async def test_an_answer_waits_for_the_database(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = 2

    async def save_later(sql: SqlPool, turn: TurnRecord) -> float | None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise Unavailable("The database cannot be reached just now.")
        return await save_turn(sql, turn)

    monkeypatch.setattr("activities.agent.turn_store.save_turn", save_later)
    monkeypatch.setattr("activities.agent.turn_store.WRITE_RETRY_SECONDS", (0.0, 0.0))
    whole = respond_with(200, a_stream(*WHOLE), content_type="text/event-stream")
    async with asking(database, settings, whole) as asked:
        assert await asked.stored_turn() is not None
        run, _ = await asked.rows()
        assert (len(asked.got), run.input_tokens) == (1, 1_000_000)
        assert await asked.open_calls() == []


async def test_an_answer_that_is_cut_off_is_paid_for(database: Database, settings: Settings) -> None:
    cut = respond_with(200, a_stream(STARTED), content_type="text/event-stream")
    async with asking(database, settings, cut) as asked:
        for count in (1, 2):
            with pytest.raises(TurnCut):
                await asked.turn()
            run, agent = await asked.rows()
            assert (run.cost_usd, run.input_tokens, agent.cut_turns) == (
                count * SONNET.input + count * SONNET.output / 1_000_000,
                count * 1_000_000,
                count,
            )
        assert await asked.bench.reserved() == Decimal(0)


async def test_a_session_gives_up_after_many_cuts_in_a_row(database: Database, settings: Settings) -> None:
    cut = respond_with(200, a_stream(STARTED), content_type="text/event-stream")
    async with asking(database, settings, cut) as asked:
        for _ in range(MAX_CONSECUTIVE_CUTS - 1):
            with pytest.raises(TurnCut):
                await asked.turn()
        with pytest.raises(ApplicationError, match="10 times in a row") as gave_up:
            await asked.turn()
        assert (gave_up.value.type, gave_up.value.non_retryable) == ("TURN_CUT", True)


async def test_an_answer_that_we_leave_is_paid_for(database: Database, settings: Settings) -> None:
    """As when its run is cancelled, or its worker shuts down."""
    has_begun = asyncio.Event()

    async def begin_only(receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        writer.write(a_stream(STARTED).encode())
        await writer.drain()
        has_begun.set()
        await receiver.closing.wait()

    async with asking(database, settings, begin_only) as asked:
        turn = asyncio.create_task(asked.turn())
        await has_begun.wait()
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            while [call.usage.get("input") for call in await asked.open_calls()] != [1_000_000]:
                await asyncio.sleep(0.05)
        [call] = await asked.open_calls()
        assert call.model == "claude-sonnet-5"
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        run, agent = await asked.rows()
        assert (run.input_tokens, agent.cut_turns) == (1_000_000, 0)
        assert (await asked.bench.reserved(), await asked.open_calls()) == (Decimal(0), [])
