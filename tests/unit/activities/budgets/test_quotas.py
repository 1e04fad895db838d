"""The quota of the server's model key: who has used it up waits, and says for what."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

import pytest
from pydantic import SecretStr

from activities.agent.conversation import SessionContext
from activities.agent.model_caller import ModelCaller
from activities.budgets.call_reservations import CallReservations
from activities.budgets.quotas import QUOTA_RECHECK_SECONDS, SHORT_RECHECK_SECONDS
from activities.budgets.spending import build_spending
from activities.gateway_factory import GatewayFactory
from gateways.anthropic.conversation import Usage
from gateways.errors import ProviderLimit
from kit.crypto import last_four
from kit.database import Database
from kit.settings import Settings
from models import Budget, CostRate, Message, Project, ProviderKey
from models.agent.session import MessageRole, turn_sequence
from models.agent.turn import TurnRecord, record_turn, save_turn
from models.budgets.budget import quota_budget_id
from models.budgets.quota import Quota, QuotaKind, set_quota
from models.event import EventType
from models.projects.provider_key import Provider
from tests.unit.activities.budgets.test_charging import a_request
from tests.unit.models.budgets.test_budget import SONNET
from tests.unit.models.budgets.test_reservations import Bench, a_bench

USAGE = Usage(input=1_000, output=100_000, cache_read=0, cache_write_5m=0, cache_write_1h=0)


def outside_of(settings: Settings, database: Database, **update: object) -> GatewayFactory:
    given = {"anthropic_api_key": SecretStr("sk-ant-servers"), **update}
    return GatewayFactory(settings.model_copy(update=given), database)


@dataclass
class Asker:
    """Asks for turns of a bench's sessions, as their activities do, until their calls would be made."""

    bench: Bench
    asking: ModelCaller

    async def ask(self, index: int, answered: asyncio.Event | None = None) -> Quota:
        """Pay for a call that lasts until it is answered, and then fails; the quota that it was under.

        ProviderLimit where it has to wait.
        """
        agent = self.bench.sessions[index]
        credentials = await self.asking.require_capacity(agent)
        paying = CallReservations(self.bench.database, self.asking)
        speaker = SessionContext(agent, None, self.bench.chain_id, agent.job_id)
        async with paying.reserve(credentials, speaker, turn_sequence(1), a_request(agent)):
            if answered is not None:
                await answered.wait()
        return credentials.quota


def asker(bench: Bench, settings: Settings, **update: object) -> Asker:
    return Asker(bench, ModelCaller(bench.database, outside_of(settings, bench.database, **update)))


async def limit(bench: Bench, usd: str | None) -> None:
    async with bench.database.transaction() as session:
        project = await session.get_one(Project, bench.project.id)
        await set_quota(session, project, QuotaKind.model_usd, None if usd is None else Decimal(usd))


async def spend(bench: Bench, index: int, sequence: int, *, plainly: bool = True) -> Decimal:
    """Record an answer that the server's key paid for; its price."""
    agent = bench.sessions[index]
    message = Message(session_id=agent.id, sequence=sequence, role=MessageRole.assistant, content=[])
    speaker = SessionContext(agent, None, bench.chain_id)
    spending = build_spending(speaker, USAGE, SONNET, message.id, sequence, counts_for_quota=True)
    turn = TurnRecord(agent, spending, message, [(EventType.turn_completed, {})])
    if plainly:
        await save_turn(bench.database.sql, turn)
    else:
        async with bench.database.transaction() as session:
            await record_turn(session, turn)
    return spending.cost_usd


async def test_a_project_that_has_spent_its_quota_waits(settings: Settings, database: Database) -> None:
    bench = await a_bench(database, 2)
    await limit(bench, "2.00")
    server = asker(bench, settings)
    assert (await server.ask(0)).model_usd == Decimal(2)
    spent = await spend(bench, 0, 2)
    assert 1 < spent < 2
    await server.ask(1)
    await spend(bench, 1, 2, plainly=False)
    assert (await bench.budget(quota_budget_id(bench.project.id))).spent_usd == 2 * spent
    with pytest.raises(ProviderLimit) as refused:
        await server.ask(0)
    assert refused.value.retry_after == QUOTA_RECHECK_SECONDS
    assert f"{2 * spent:.2f} of the 2.00 USD" in refused.value.message
    assert "codecourier projects quota" in refused.value.message
    await asker(await a_bench(database, 1), settings).ask(0)


async def test_what_is_reserved_for_others_holds_up_for_a_moment(
    settings: Settings, database: Database
) -> None:
    bench = await a_bench(database, 2)
    await limit(bench, "0.40")
    server = asker(bench, settings)
    await bench.ask(bench.call(0))
    assert await bench.reserved() > Decimal("0.40")
    with pytest.raises(ProviderLimit) as refused:
        await server.ask(1)
    assert refused.value.retry_after == SHORT_RECHECK_SECONDS
    await server.ask(0)  # its own, which an attempt that died has left


async def test_sessions_that_ask_at_once_wait_for_what_one_of_them_has_reserved(
    settings: Settings, database: Database
) -> None:
    """There is less left than one call may cost: one is made, and the others after it."""
    bench = await a_bench(database, 6)
    await limit(bench, "0.01")
    server, answered = asker(bench, settings), asyncio.Event()
    calls = [asyncio.create_task(server.ask(index, answered)) for index in range(6)]
    first = iter(asyncio.as_completed(calls))
    for _ in range(5):
        with pytest.raises(ProviderLimit, match="calls that are being answered"):
            await next(first)
    assert await bench.reserved() > Decimal("0.01")
    answered.set()
    await asyncio.wait(calls)
    assert await bench.reserved() == 0
    await server.ask(0)


async def test_the_settings_limit_every_project_without_a_quota_of_its_own(
    settings: Settings, database: Database
) -> None:
    bench = await a_bench(database, 1)
    with pytest.raises(ProviderLimit, match="of the 0"):
        await asker(bench, settings, server_model_usd_per_project=Decimal(0)).ask(0)
    await limit(bench, None)
    await asker(bench, settings, server_model_usd_per_project=Decimal(0)).ask(0)


async def test_a_key_of_ones_own_has_no_quota(settings: Settings, database: Database) -> None:
    bench = await a_bench(database, 1)
    await limit(bench, "0")
    server = asker(bench, settings)
    vault = server.asking.outside.vault
    async with database.transaction() as session:
        key = ProviderKey(
            project_id=bench.project.id,
            provider=Provider.anthropic,
            sealed=vault.seal("sk-ant-own"),
            last_four=last_four("sk-ant-own"),
        )
        session.add(key)
    assert (await server.ask(0)).model_usd is None


async def test_a_price_of_the_projects_own_does_not_lift_a_quota(
    settings: Settings, database: Database
) -> None:
    bench = await a_bench(database, 1)
    await limit(bench, "10")
    [agent] = bench.sessions
    agent.model = "nobodys-model"
    async with database.transaction() as session:
        free = dict.fromkeys(("input", "cache_write_5m", "cache_write_1h", "cache_read", "output"), 0)
        rate = {"project_id": bench.project.id, "model_prefix": "nobodys-model", **free}
        session.add(CostRate.model_validate(rate))
    with pytest.raises(ProviderLimit, match="no price for the model nobodys-model"):
        await asker(bench, settings).ask(0)


async def test_without_a_quota_nothing_is_counted_apart(settings: Settings, database: Database) -> None:
    bench = await a_bench(database, 1)
    await asker(bench, settings).ask(0)
    async with database.transaction() as session:
        assert await session.get(Budget, quota_budget_id(bench.project.id)) is None
