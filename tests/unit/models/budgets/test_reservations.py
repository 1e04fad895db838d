"""Reservations on a real database: what many ask for at once never exceeds a cap, and nothing is lost."""

import asyncio
import datetime as dt
import random
from dataclasses import dataclass
from decimal import Decimal

import pytest
from sqlmodel import col, func, select

from activities.agent.conversation import SessionContext
from activities.budgets.spending import build_spending
from activities.budgets.waits import NO_SEQUENCE
from gateways.anthropic.conversation import Usage
from kit.database import Database
from kit.ids import new_id
from models import AgentSession, Budget, Message, Reservation, UsageRecord
from models.agent.session import MessageRole, turn_sequence
from models.agent.turn import TurnRecord, save_turn
from models.base import now
from models.budgets.budget import open_budget
from models.budgets.quota import QuotaUsage
from models.budgets.reservation import (
    ModelCall,
    ReservationGrant,
    ReservationRefusal,
    max_price,
    release,
    reserve,
)
from models.budgets.usage import CostRate, UsageUnit
from models.budgets.wait import change_cap, wait_for_budget
from models.event import EventType
from models.runs.run import Run
from tests.conftest import ProjectKey, make_project
from tests.factories import make_agent_session, make_running_run
from tests.unit.models.budgets.test_budget import SONNET

QUESTION, ANSWER = 3_000, 32_000
LONG_AGO = dt.date(2020, 2, 1)
LEAST = max_price(SONNET, QUESTION, 4_096)


@dataclass
class Bench:
    """Sessions of runs of one project that share its budget, and a chain's."""

    database: Database
    project: ProjectKey
    chain_id: str
    sessions: list[AgentSession]

    def call(self, index: int, turn: int = 1, owner: str = "first") -> ModelCall:
        agent = self.sessions[index]
        return ModelCall(agent.id, turn_sequence(turn), agent.project_id, self.chain_id, agent.job_id, owner)

    async def cap(self, holder_id: str, usd: str | None) -> None:
        async with self.database.transaction() as session:
            await change_cap(session, self.project.id, holder_id, None if usd is None else Decimal(usd))

    async def ask(
        self, call: ModelCall, *, rate: CostRate | None = SONNET, model: str = "claude-sonnet-5"
    ) -> ReservationGrant | ReservationRefusal:
        async with self.database.transaction() as session:
            asked = await reserve(session, call, model, rate, QUESTION, ANSWER)
        assert not isinstance(asked, QuotaUsage)
        return asked

    async def ask_within(self, quota_usd: str, call: ModelCall) -> ReservationGrant | QuotaUsage:
        """A call that the server's key pays for, of which the project has a quota."""
        async with self.database.transaction() as session:
            counted = call._replace(quota_usd=Decimal(quota_usd))
            asked = await reserve(session, counted, "claude-sonnet-5", SONNET, QUESTION, ANSWER)
        assert not isinstance(asked, ReservationRefusal)
        return asked

    async def settle(self, call: ModelCall, usage: Usage) -> Decimal:
        """Record an answer; its price."""
        agent = next(each for each in self.sessions if each.id == call.session_id)
        message = Message(
            session_id=agent.id,
            sequence=call.sequence,
            role=MessageRole.assistant,
            content=[{"type": "text", "text": "Done."}],
            usage=usage.model_dump(),
            stop_reason="end_turn",
        )
        speaker = SessionContext(agent, None, self.chain_id)
        spending = build_spending(
            speaker, usage, SONNET, message.id, call.sequence, counts_for_quota=call.counts_for_quota
        )
        turn = TurnRecord(agent, spending, message, [(EventType.turn_completed, {})])
        await save_turn(self.database.sql, turn)
        return spending.cost_usd

    async def budget(self, id: str) -> Budget:
        async with self.database.transaction() as session:
            return await session.get_one(Budget, id)

    async def reserved(self) -> Decimal:
        async with self.database.transaction() as session:
            of_project = col(Reservation.project_id) == self.project.id
            total = select(func.coalesce(func.sum(Reservation.amount_usd), 0)).where(of_project)
            amount: Decimal = (await session.exec(total)).one()
            return amount


async def a_bench(database: Database, runs: int) -> Bench:
    project = await make_project(database)
    bench = Bench(database, project, new_id("sc"), [])
    async with database.transaction() as session:
        for number in range(1, runs + 1):
            blueprint, run, sandbox = make_running_run(project)
            run.run_number, run.chain_id = number, bench.chain_id
            agent = make_agent_session(run, sandbox, model="claude-sonnet-5")
            for row in (blueprint, run, sandbox, agent):
                session.add(row)
                await session.flush()
            bench.sessions.append(agent)
    return bench


async def test_twenty_runs_that_ask_at_once_never_exceed_a_cap(database: Database) -> None:
    """Random calls, answers, failures and deaths of twenty runs; the sum is checked at each step."""
    bench = await a_bench(database, 20)
    await bench.cap(bench.project.id, "10")
    await bench.cap(bench.chain_id, "9.99")
    async with database.transaction() as session:
        (await session.get_one(Budget, bench.project.id)).spent_usd = Decimal("9.90")
        (await session.get_one(Budget, bench.chain_id)).spent_usd = Decimal("9.80")
    chance = random.Random(12)
    refusals: set[str] = set()

    async def play(index: int) -> None:
        for turn in range(1, 5):
            call = bench.call(index, turn, owner=f"{index}.{turn}")
            asked = await bench.ask(call)
            if isinstance(asked, ReservationRefusal):
                refusals.update(asked.budgets)
                continue
            await check()
            match chance.randrange(4):
                case 0:
                    await release_of(call)
                case 1:  # its worker dies, and another attempt goes on
                    again = call._replace(owner="second")
                    if isinstance(taken := await bench.ask(again), ReservationGrant):
                        await bench.settle(again, _usage(chance, taken))
                case _:
                    await bench.settle(call, _usage(chance, asked))
            await check()

    async def release_of(call: ModelCall) -> None:
        async with database.transaction() as session:
            await release(session, call)

    async def check() -> None:
        async with database.transaction() as session:
            held = select(col(Budget.spent_usd)).where(col(Budget.id) == bench.project.id).with_for_update()
            spent = (await session.exec(held)).one()
            of_project = col(Reservation.project_id) == bench.project.id
            reserved = (
                await session.exec(
                    select(func.coalesce(func.sum(Reservation.amount_usd), 0)).where(of_project)
                )
            ).one()
            assert spent + reserved <= 10

    await asyncio.gather(*(play(index) for index in range(20)))
    project, chain = await bench.budget(bench.project.id), await bench.budget(bench.chain_id)
    assert Decimal("9.90") < project.spent_usd <= 10
    assert Decimal("9.80") < chain.spent_usd <= Decimal("9.99")
    assert project.spent_usd - Decimal("9.90") == chain.spent_usd - Decimal("9.80")
    assert bench.project.id in refusals
    assert await bench.reserved() == 0
    async with database.transaction() as session:
        runs = await session.exec(select(func.sum(Run.cost_usd)).where(col(Run.chain_id) == bench.chain_id))
        assert runs.one() == chain.spent_usd - Decimal("9.80")


def _usage(chance: random.Random, asked: ReservationGrant) -> Usage:
    return Usage(cache_write_1h=chance.randrange(QUESTION), output=chance.randrange(asked.max_tokens))


async def test_calls_that_are_made_at_once_go_past_a_quota_by_one_at_most(database: Database) -> None:
    bench = await a_bench(database, 12)

    async def all_ask() -> list[ReservationGrant | QuotaUsage]:
        return await asyncio.gather(*(bench.ask_within("2.20", bench.call(each)) for each in range(12)))

    asked = await all_ask()
    granted = [index for index, each in enumerate(asked) if isinstance(each, ReservationGrant)]
    one = await bench.reserved() / len(granted)
    assert (len(granted) - 1) * one < Decimal("2.20") <= len(granted) * one
    assert 1 < len(granted) < 12
    refused = [each for each in asked if isinstance(each, QuotaUsage)]
    assert {(each.limit_usd, each.spent_usd) for each in refused} == {(Decimal("2.20"), Decimal(0))}
    assert all(each.reserved_usd == len(granted) * one for each in refused), "it is held by those in flight"
    assert [await bench.ask_within("2.20", bench.call(each)) for each in granted] == [
        asked[each] for each in granted
    ], "a repeated attempt does not wait for what it has set aside itself"


async def test_a_repeated_attempt_takes_over_what_the_killed_one_has_set_aside(database: Database) -> None:
    bench = await a_bench(database, 2)
    whole = max_price(SONNET, QUESTION, ANSWER)
    await bench.cap(bench.project.id, str(whole))
    assert await bench.ask(bench.call(0)) == ReservationGrant(ANSWER)
    refused = await bench.ask(bench.call(1))
    assert isinstance(refused, ReservationRefusal)
    assert (refused.code, refused.budgets) == ("BUDGET_RESERVED", [bench.project.id])
    assert await bench.ask(bench.call(0, owner="second")) == ReservationGrant(ANSWER)
    assert await bench.reserved() == whole
    async with database.transaction() as session:
        await release(session, bench.call(0))  # the first attempt, dying late, gives up nothing of the second
    assert await bench.reserved() == whole
    async with database.transaction() as session:
        await release(session, bench.call(0, owner="second"))
    assert await bench.reserved() == 0
    assert await bench.ask(bench.call(1)) == ReservationGrant(ANSWER)


async def test_a_session_does_not_wait_for_what_its_own_dead_attempt_has_set_aside(
    database: Database,
) -> None:
    """Refused while others held the rest, it would wait until the lease of the dead one ends."""
    bench = await a_bench(database, 2)
    await bench.cap(bench.project.id, str(max_price(SONNET, QUESTION, ANSWER)))
    assert await bench.ask(bench.call(0)) == ReservationGrant(ANSWER)
    refused = await bench.ask(bench.call(1))
    assert isinstance(refused, ReservationRefusal)
    for call, goes_on in ((bench.call(0), True), (bench.call(1), False)):
        async with database.transaction() as session:
            held = await wait_for_budget(session, call._replace(sequence=NO_SEQUENCE, owner=""), refused)
        assert (held is None) is goes_on
    assert await bench.ask(bench.call(0, turn=2)) == ReservationGrant(ANSWER)


async def test_an_answer_recorded_twice_is_charged_once(database: Database) -> None:
    bench = await a_bench(database, 1)
    usage = Usage(input=1_000, output=1_000)
    assert isinstance(await bench.ask(bench.call(0)), ReservationGrant)
    price = await bench.settle(bench.call(0), usage)
    await bench.settle(bench.call(0), usage)
    for holder in (bench.project.id, bench.chain_id, bench.sessions[0].job_id):
        assert (await bench.budget(holder)).spent_usd == price
    assert await bench.reserved() == 0


async def test_an_answer_is_shortened_before_a_call_is_refused(database: Database) -> None:
    bench = await a_bench(database, 1)
    run_id = bench.sessions[0].job_id
    await bench.cap(run_id, "0.10")
    asked = await bench.ask(bench.call(0))
    assert isinstance(asked, ReservationGrant)
    assert 4_096 <= asked.max_tokens < ANSWER
    assert await bench.reserved() <= Decimal("0.10")
    await bench.cap(run_id, str(LEAST))
    assert isinstance(await bench.ask(bench.call(0)), ReservationGrant)
    await bench.cap(run_id, str(LEAST - Decimal("0.00000001")))
    refused = await bench.ask(bench.call(0))
    assert refused == ReservationRefusal(
        code="BUDGET_REACHED", needs_usd=LEAST, budgets=[run_id], model="claude-sonnet-5"
    )


@pytest.mark.parametrize("capped", [True, False])
async def test_a_model_without_a_price_is_refused_only_under_a_cap(database: Database, capped: bool) -> None:
    bench = await a_bench(database, 1)
    await bench.cap(bench.chain_id, "5" if capped else None)
    asked = await bench.ask(bench.call(0), rate=None, model="gpt-x")
    if capped:
        assert isinstance(asked, ReservationRefusal)
        assert (asked.code, asked.budgets, asked.model) == ("MODEL_WITHOUT_PRICE", [bench.chain_id], "gpt-x")
    else:
        assert asked == ReservationGrant(ANSWER)
    assert await bench.reserved() == 0


async def test_a_budget_begins_with_what_was_spent_before_it_was_made(database: Database) -> None:
    bench = await a_bench(database, 2)
    run_id = bench.sessions[0].job_id
    async with database.transaction() as session:
        for agent, usd in zip(bench.sessions, ("1.25", "2.5"), strict=True):
            (await session.get_one(Run, agent.job_id)).cost_usd = Decimal(usd)
        for day, usd in ((now().date(), "3.75"), (now().date().replace(year=2020), "100")):
            session.add(
                UsageRecord(
                    id=new_id("use"),
                    project_id=bench.project.id,
                    service="anthropic",
                    date=day,
                    quantity=1,
                    created_at=dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC),
                    unit=UsageUnit.output_tokens,
                    cost_usd=Decimal(usd),
                    source_id=new_id("msg"),
                )
            )
    await asyncio.gather(*(bench.ask(bench.call(index)) for index in range(2)))
    spent = [(await bench.budget(holder)).spent_usd for holder in (run_id, bench.chain_id, bench.project.id)]
    assert spent == [Decimal("1.25"), Decimal("3.75"), Decimal("3.75")]


async def test_a_projects_month_turns_with_its_first_call(database: Database) -> None:
    bench = await a_bench(database, 1)
    await bench.cap(bench.project.id, "1")
    async with database.transaction() as session:
        budget = await session.get_one(Budget, bench.project.id)
        budget.spent_usd, budget.month = Decimal(1), LONG_AGO
    assert isinstance(await bench.ask(bench.call(0)), ReservationGrant)
    price = await bench.settle(bench.call(0), Usage(output=10))
    budget = await bench.budget(bench.project.id)
    assert (budget.spent_usd, budget.month) == (price, now().date().replace(day=1))


async def test_a_settlement_turns_the_month_too(database: Database) -> None:
    bench = await a_bench(database, 1)
    assert isinstance(await bench.ask(bench.call(0)), ReservationGrant)
    async with database.transaction() as session:
        budget = await session.get_one(Budget, bench.project.id)
        budget.spent_usd, budget.month = Decimal(7), LONG_AGO
    price = await bench.settle(bench.call(0), Usage(output=10))
    budget = await bench.budget(bench.project.id)
    assert (budget.spent_usd, budget.month) == (price, now().date().replace(day=1))


async def test_a_holder_is_opened_with_its_cap(database: Database) -> None:
    bench = await a_bench(database, 1)
    async with database.transaction() as session:
        await open_budget(session, bench.project.id, bench.chain_id, Decimal("0.01"))
    asked = await bench.ask(bench.call(0))
    assert isinstance(asked, ReservationRefusal)
    assert asked.budgets == [bench.chain_id]
