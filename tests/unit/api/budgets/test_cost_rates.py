"""Prices: the installation's, and a project's own in their place, which no other project pays."""

from decimal import Decimal

import httpx
import pytest

from activities.agent.model_caller import ModelCaller
from activities.gateway_factory import GatewayFactory
from kit.database import Database
from kit.settings import Settings
from models.budgets.usage import find_cost_rate
from tests.conftest import ProjectKey, make_project
from tests.support.contract_client import ContractClient
from tests.support.members import status_and_code

PRICES = {"input": 1.5, "cacheWrite5m": 2, "cacheWrite1h": 3, "cacheRead": 0.00000001, "output": 7}
SONNET = {"modelPrefix": "claude-sonnet", **PRICES}
MODEL = "claude-sonnet-5-5"


async def price(database: Database, project_id: str, model: str = MODEL) -> Decimal | None:
    async with database.read_only() as session:
        rate = await find_cost_rate(session, model, project_id)
    return rate.input if rate else None


async def test_a_project_pays_its_own_price(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    call = ContractClient(client)
    before = await call("listCostRates", limit=100)
    default = {each["modelPrefix"]: each for each in before}["claude-sonnet"]
    assert (default["isDefault"], default["input"], default["cacheWrite1h"]) == (True, 3, 6)
    own = await call("upsertCostRate", SONNET)
    assert {name: own[name] for name in SONNET} == SONNET
    assert (own["isDefault"], own["id"] != default["id"]) == (False, True)
    again = await call("upsertCostRate", {**SONNET, "output": 8})
    assert (again["id"], again["output"]) == (own["id"], 8)
    after = await call("listCostRates", limit=100)
    assert after == [again if each["id"] == default["id"] else each for each in before]
    assert (await stranger.get("/cost-rates/list", params={"limit": 100})).json()["data"] == before
    other = await make_project(database)
    assert await price(database, project.id) == Decimal("1.5")
    assert await price(database, other.id) == Decimal(3)


async def test_an_own_price_counts_before_the_installations(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    """Whatever its prefix; of several own ones the longest counts."""
    for prefix, dollars in (("claude", 20), ("claude-sonnet-5", 30)):
        body = {"modelPrefix": prefix, **PRICES, "input": dollars}
        assert (await client.post("/cost-rates/upsert", json=body)).status_code == 200
    assert await price(database, project.id) == 30
    assert await price(database, project.id, "claude-haiku-5-5") == 20
    assert await price(database, project.id, "other") is None


async def test_a_turn_is_priced_for_its_project(
    client: httpx.AsyncClient, project: ProjectKey, database: Database, settings: Settings
) -> None:
    assert (await client.post("/cost-rates/upsert", json=SONNET)).status_code == 200
    other = await make_project(database)
    asking = ModelCaller(database, GatewayFactory(settings, database))
    rates = [await asking.price(MODEL, project_id) for project_id in (project.id, other.id, project.id)]
    assert [rate and rate.input for rate in rates] == [Decimal("1.5"), Decimal(3), Decimal("1.5")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("modelPrefix", ""),
        ("modelPrefix", "a b"),
        ("input", -1),
        ("input", "3"),
        ("input", True),
        ("cacheWrite5m", 1_000_001),
        ("cacheRead", 0.000000001),
        ("output", None),
    ],
)
async def test_prices_that_cannot_be(client: httpx.AsyncClient, field: str, value: object) -> None:
    answer = await client.post("/cost-rates/upsert", json={**SONNET, field: value})
    assert status_and_code(answer) == (400, "VALIDATION")
    assert answer.json()["error"]["field"] == field
