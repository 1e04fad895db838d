"""Waits that nobody waits any more are found among many that somebody does."""

from datetime import timedelta
from decimal import Decimal

from sqlmodel import col, select

from activities.reconcile.abandoned_reservations import AbandonedReservations
from activities.reconcile.findings import PAGE_SIZE
from gateways.anthropic.conversation import Usage
from kit.database import Database
from kit.ids import new_id
from models import AgentSession, Budget, BudgetWait, CostRate, OpenCall, Run
from models.agent.session import turn_sequence
from models.base import now
from models.budgets.budget import quota_budget_id
from models.budgets.money_code import BudgetWaitCode
from models.budgets.reservation import LEASE_DURATION
from models.runs.run import RunStatus
from tests.unit.models.budgets.test_budget import SONNET
from tests.unit.models.budgets.test_reservations import a_bench


async def test_the_oldest_are_looked_at_first(database: Database) -> None:
    bench = await a_bench(database, 2)
    living, dead = bench.sessions
    at = now()

    def waits(session_id: str, job_id: str, place: int, age: timedelta) -> BudgetWait:
        return BudgetWait(
            session_id=session_id,
            budget_id=f"of_{place}",
            job_id=job_id,
            code=BudgetWaitCode.reached,
            needs_usd=Decimal(1),
            model=living.model,
            since=at - age,
        )

    async with database.transaction() as session:
        session.add_all(waits(living.id, living.job_id, place, timedelta(0)) for place in range(PAGE_SIZE))
        await session.flush()
        session.add(waits(dead.id, dead.job_id, 0, timedelta(days=1)))
        run = await session.get_one(Run, dead.job_id)
        run.close(RunStatus.cancelled)
        run.completed_at = at - timedelta(hours=1)
    check = AbandonedReservations(database)
    found = {finding.id: finding async for finding in check.find()}
    assert dead.id in found
    assert living.id not in found
    assert await check.repair(found[dead.id]) == "given back"


USAGE = Usage(input=1_000_000, output=1)


def left_by(agent: AgentSession, age: timedelta, *, counts_for_quota: bool = False) -> OpenCall:
    return OpenCall(
        source_id=new_id("msg"),
        session_id=agent.id,
        project_id=agent.project_id,
        job_id=agent.job_id,
        sequence=turn_sequence(1),
        model="claude-sonnet-5",
        usage=USAGE.model_dump(),
        counts_for_quota=counts_for_quota,
        opened_at=now() - age,
    )


async def test_a_call_that_died_while_it_was_answered_is_charged_once(database: Database) -> None:
    bench = await a_bench(database, 2)
    [dead, living] = bench.sessions
    calls = [left_by(dead, timedelta(0)), left_by(living, timedelta(0)), left_by(living, LEASE_DURATION)]
    async with database.transaction() as session:
        rate = SONNET.model_dump(exclude={"id", "project_id"})
        session.add(CostRate(project_id=bench.project.id, **rate))
        session.add_all(calls)
        run = await session.get_one(Run, dead.job_id)
        run.close(RunStatus.failed)
        run.completed_at = now() - timedelta(hours=1)
    check = AbandonedReservations(database)
    found = {finding.id: finding async for finding in check.find()}
    for agent in (dead, living):
        assert await check.repair(found[agent.id]) == "charged"
        assert await check.repair(found[agent.id]) is None
        async with database.read_only() as session:
            run = await session.get_one(Run, agent.job_id)
        assert (run.input_tokens, run.cost_usd) == (1_000_000, SONNET.input + SONNET.output / 1_000_000)
    async with database.read_only() as session:
        left = (await session.exec(select(OpenCall).where(col(OpenCall.session_id) == living.id))).all()
    assert [call.source_id for call in left] == [calls[1].source_id], "it may be answered yet"
    await bench.settle(bench.call(1), USAGE)
    async with database.read_only() as session:
        assert (await session.get_one(Run, living.job_id)).input_tokens == 2_000_000


async def test_a_lost_call_counts_for_the_quota_that_it_was_made_under(database: Database) -> None:
    """There is none any more, and the project's own price is of no account where the server's key paid."""
    bench = await a_bench(database, 2)
    [counted, other] = bench.sessions
    free = dict.fromkeys(("input", "cache_write_5m", "cache_write_1h", "cache_read", "output"), 0)
    own = {"project_id": bench.project.id, "model_prefix": "claude-sonnet-5", **free}
    async with database.transaction() as session:
        session.add(CostRate.model_validate(own))
        session.add_all(
            [left_by(counted, LEASE_DURATION, counts_for_quota=True), left_by(other, LEASE_DURATION)]
        )
    check = AbandonedReservations(database)
    for finding in [finding async for finding in check.find() if finding.id in {counted.id, other.id}]:
        assert await check.repair(finding) == "charged"
    async with database.read_only() as session:
        costs = [(await session.get_one(Run, agent.job_id)).cost_usd for agent in (counted, other)]
        shared = await session.get_one(Budget, quota_budget_id(bench.project.id))
    assert costs[0] > costs[1] == 0
    assert shared.spent_usd == costs[0]
