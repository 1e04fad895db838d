"""Money on the real parts: what cannot be paid for is not called, and goes on when there is money."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import text, update
from sqlmodel import col

from activities.reconcile.findings import Inconsistency
from models import Budget, BudgetWait, Event, Member, Notification, Project, Reservation, Run, UsageRecord
from models.base import now
from models.blueprints.blueprint import BlueprintConfig
from models.event import EventType
from models.issues.issue_session import IssueSessionStatus
from models.notifications.notification import NotificationType
from models.projects.project import Role
from models.runs.run import RunStatus
from tests.integration.issues import test_issue_sessions as scans
from tests.support.github import ApiServer, serving_api
from tests.support.inconsistencies import find_finding, repair_once
from tests.support.installation import ONE_DESIGNER_STEP, Installation, open_installation, wait_until
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.pull_requests import make_key_headers
from tests.support.scenarios import Turn, bash, finish, register_scenario, with_delay
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

RUNS = 20
SEAMS = ["turn", "within-a-turn", "answered"]


class Killed(NamedTuple):
    outcome: RunOutcome
    held: list[Reservation]
    """What was set aside when the worker died."""


Kills = dict[str, asyncio.Task[Killed]]
GONE, HAIKU = "gone", "claude-haiku"
WORDS = "So it goes. " * 400


def talkative(turn: Turn) -> Turn:
    """The same turn at a price that can be felt: about two cents."""
    return {**turn, "text": WORDS}


SLOW = register_scenario("slow-spending", with_delay(bash("echo one >> spent.txt"), 4), finish("Spent it."))
SPENDING = register_scenario(
    "spending",
    talkative(bash("echo one >> spent.txt")),
    talkative(bash("echo two >> spent.txt")),
    talkative(bash("echo three >> spent.txt")),
    finish("Spent it."),
)
SCANNING = register_scenario("spending-scan", talkative(bash("cat greet.py")), finish("Read greet.py."))


async def managed(site: Installation) -> Project:
    """A project whose member may change its budget."""
    project = await site.project()
    async with site.database.transaction() as session:
        of_project = col(Member.project_id) == project.id
        await session.execute(update(Member).where(of_project).values(role=Role.admin))
    return project


async def cap(
    site: Installation, holder_id: str, project_id: str, cap_usd: str, spent_usd: str = "0"
) -> None:
    """A budget as it is after some spending."""
    month = now().date().replace(day=1) if holder_id == project_id else None
    await site.add(
        Budget(
            id=holder_id,
            project_id=project_id,
            cap_usd=Decimal(cap_usd),
            spent_usd=Decimal(spent_usd),
            month=month,
        )
    )


async def budget_of(site: Installation, holder_id: str) -> Budget:
    [budget] = await site.rows(Budget, col(Budget.id) == holder_id, col(Budget.id))
    return budget


async def reservations(site: Installation, run: Run) -> list[Reservation]:
    return await site.rows(Reservation, col(Reservation.job_id) == run.id, col(Reservation.session_id))


async def out_of_money(site: Installation, *runs: Run, patience: float = TEST_TIMEOUT_SECONDS) -> None:
    """Wait until all of them are paused because a budget is reached."""

    async def are_paused() -> bool:
        states = [await site.read(run) for run in runs]
        return all(run.status is RunStatus.paused and _code(run) == "BUDGET_REACHED" for run in states)

    await wait_until(are_paused, f"{len(runs)} runs wait for money", patience)


def _code(run: Run) -> object:
    return (run.waiting or {}).get("code")


async def put(api: ApiServer, headers: dict[str, str], path: str, cap_usd: float | None) -> dict[str, Any]:
    answer = await api.http.put(f"/api/v1{path}", json={"maxCostUsd": cap_usd}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


async def ask(api: ApiServer, headers: dict[str, str], method: str, path: str) -> httpx.Response:
    return await api.http.request(method, f"/api/v1{path}", headers=headers)


@pytest.mark.soak
async def test_twenty_runs_share_ten_dollars_of_which_ten_cents_are_left(site: Installation) -> None:
    project = await managed(site)
    await cap(site, project.id, project.id, "10", "9.90")
    highest = Decimal(0)

    async def watch() -> None:
        nonlocal highest
        statement = text(
            "SELECT spent_usd + coalesce((SELECT sum(amount_usd) FROM reservation WHERE project_id = :id), 0)"
            " FROM budget WHERE id = :id"
        )
        while True:
            async with site.database.read_only() as session:
                highest = max(highest, (await session.execute(statement, {"id": project.id})).scalar_one())
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    slug = await site.repository()
    runs = [await site.start(f"Spend {SPENDING}", project=project, repository=slug) for _ in range(RUNS)]
    async with serving_api(site) as api:
        headers = await make_key_headers(site, project.id)
        await out_of_money(site, *runs)
        watching.cancel()
        budget = await budget_of(site, project.id)
        assert Decimal("9.90") < budget.spent_usd <= highest <= 10
        used = await site.rows(UsageRecord, col(UsageRecord.project_id) == project.id, col(UsageRecord.id))
        assert Decimal("9.90") + sum(each.cost_usd for each in used) == budget.spent_usd
        assert (
            await site.rows(Reservation, col(Reservation.project_id) == project.id, col(Reservation.job_id))
            == []
        )
        for run in runs:
            why = (await ask(api, headers, "GET", f"/runs/{run.id}/why")).json()["data"]
            assert (why["code"], why["status"], why["isWaiting"]) == ("BUDGET_REACHED", "paused", True)
            assert "The project's budget" in why["message"]
            [reached] = why["budgets"]
            assert (reached["scope"], reached["capUsd"]) == ("project", 10)
            assert reached["changeWith"] == "PUT /api/v1/project/budget"
        of_project = col(Event.project_id) == project.id
        told = await site.rows(
            Event, of_project & (col(Event.type) == EventType.budget_reached), col(Event.id)
        )
        assert [event.data["capUsd"] for event in told] == [10]
        notices = await site.rows(
            Notification, col(Notification.project_id) == project.id, col(Notification.id)
        )
        assert [notice.type for notice in notices] == [NotificationType.budget_exceeded]
        refused = await ask(api, headers, "POST", f"/runs/{runs[0].id}/resume")
        assert refused.status_code == 409
        assert "PUT /api/v1/project/budget" in refused.json()["error"]["message"]
        assert (await put(api, headers, "/project/budget", 1_000))["capUsd"] == 1_000
        for run in runs:
            await site.until(run, EventType.run_resumed)
        for run in runs:
            assert (await site.ended(run)).status is RunStatus.completed
    spent = (await budget_of(site, project.id)).spent_usd
    assert spent - Decimal("9.90") == sum([(await site.read(run)).cost_usd for run in runs])
    assert (
        await site.rows(
            BudgetWait, col(BudgetWait.job_id).in_([run.id for run in runs]), col(BudgetWait.job_id)
        )
        == []
    )


@pytest.fixture(scope="module")
async def kills(parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kills]:
    """One site, one run and one kill for each seam, all at the same time."""
    directory = tmp_path_factory.mktemp("budget-kills")
    async with AsyncExitStack() as stack:
        sites = {
            seam: await stack.enter_async_context(
                open_installation(parts, f"budget-{seam}", directory / seam)
            )
            for seam in SEAMS
        }
        plays = {seam: asyncio.create_task(_killed(site, seam)) for seam, site in sites.items()}
        yield plays
        await asyncio.wait(plays.values())


async def _killed(site: Installation, seam: str) -> Killed:
    """A run whose cap pays for one whole call and not for two: what was lost would be missed."""
    run = await site.accept(f"Spend {SLOW if seam == 'within-a-turn' else SPENDING}")
    await cap(site, run.id, run.project_id, "0.75")
    site.set_trap(seam)
    await site.send(run)
    worker = await site.start_worker()
    assert await worker.ended(90), f"the worker never came to {seam}"
    held = await reservations(site, run)
    await site.start_worker()
    return Killed(await outcome_of(site, run, 120), held)


@pytest.mark.soak
@pytest.mark.parametrize("seam", SEAMS)
async def test_a_worker_killed_with_a_reservation_in_hand_loses_none_of_it(kills: Kills, seam: str) -> None:
    outcome, [held] = await kills[seam]
    assert Decimal("0.4") < held.amount_usd <= Decimal("0.75")
    assert outcome.run.status is RunStatus.completed
    assert [event.data for event in outcome.events if "BUDGET_" in str(event.data)] == []
    assert await reservations(outcome.site, outcome.run) == []
    spent = (await budget_of(outcome.site, outcome.run.id)).spent_usd
    paid = [each.cost_usd for each in outcome.usage if each.service == "anthropic"]
    assert spent == outcome.run.cost_usd == sum(paid)


async def test_what_an_ended_run_has_set_aside_is_given_back(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with open_installation(parts, "abandoned", tmp_path_factory.mktemp("sites") / "abandoned") as site:
        run = await site.accept(f"Spend {SPENDING}")
        site.set_trap("turn")
        await site.send(run)
        worker = await site.start_worker()
        assert await worker.ended(60)
        [held] = await reservations(site, run)
        assert await find_finding(site, Inconsistency.abandoned_reservation, held.session_id) is None, (
            "it may go on"
        )
        await site.handle(run).cancel()
        await site.start_worker()
        assert (await site.ended(run)).status is RunStatus.cancelled
        assert await repair_once(site, Inconsistency.abandoned_reservation, held.session_id) == "given back"
        assert await reservations(site, run) == []


async def test_a_run_at_its_own_cap_obeys_its_operators(site: Installation) -> None:
    """Paused besides, it stays so when money comes; stopped, it keeps its work; cancelled, it ends."""
    project = await site.project()
    config = BlueprintConfig(max_cost_usd=Decimal("0.1"))
    held, stopped, cancelled, lowered = [
        await site.start(f"Spend {SPENDING}", project=project, config=config) for _ in range(4)
    ]
    async with serving_api(site) as api:
        headers = await make_key_headers(site, project.id)
        await out_of_money(site, held, stopped, cancelled, lowered)
        for run in (held, stopped, cancelled, lowered):
            row = await site.read(run)
            assert Decimal(0) < row.cost_usd <= Decimal("0.1")
            assert f"PUT /api/v1/runs/{run.id}/budget" in str((row.waiting or {})["message"])
        assert (await ask(api, headers, "POST", f"/runs/{held.id}/pause")).status_code == 200
        assert (await ask(api, headers, "POST", f"/runs/{held.id}/pause")).status_code == 409
        await put(api, headers, f"/runs/{held.id}/budget", 5)
        assert (await ask(api, headers, "POST", f"/runs/{stopped.id}/graceful-stop")).status_code == 200
        assert (await ask(api, headers, "POST", f"/runs/{cancelled.id}/cancel")).status_code == 200
        for run in (stopped, cancelled):
            assert (await outcome_of(site, run)).run.status is RunStatus.cancelled
        await put(api, headers, f"/runs/{lowered.id}/budget", 0.11)

        async def is_announced_again() -> bool:
            of_run = (col(Event.subject_id) == lowered.id) & (col(Event.type) == EventType.budget_reached)
            caps = [event.data["capUsd"] for event in await site.rows(Event, of_run, col(Event.seq))]
            return caps == [0.1, 0.11]

        await wait_until(is_announced_again, "the new cap is announced, as it is not enough")
        assert (await site.read(lowered)).status is RunStatus.paused
        await put(api, headers, f"/runs/{lowered.id}/budget", None)
        assert (await outcome_of(site, lowered)).run.status is RunStatus.completed
        row = await site.read(held)
        assert (row.status, row.waiting) == (RunStatus.paused, None)
        assert (await ask(api, headers, "POST", f"/runs/{held.id}/resume")).status_code == 200
        outcome = await outcome_of(site, held)
        assert outcome.run.status is RunStatus.completed
        assert outcome.file("spent.txt") == "one\ntwo\nthree\n"
        assert (await ask(api, headers, "PUT", f"/runs/{held.id}/budget")).status_code == 400
        late = await api.http.put(f"/api/v1/runs/{held.id}/budget", json={"maxCostUsd": 9}, headers=headers)
        assert late.status_code == 409


async def test_a_scan_waits_for_its_project_too(site: Installation) -> None:
    project = await managed(site)
    await cap(site, project.id, project.id, "1", "0.98")
    scan = await scans.start(site, await scans.a_scan(site, SCANNING, project))

    async def waits() -> bool:
        waiting = (await scans.read(site, scan)).waiting
        return waiting is not None and waiting["code"] == "BUDGET_REACHED"

    await wait_until(waits, "the scan waits for money")
    assert (await scans.read(site, scan)).status is IssueSessionStatus.active
    async with serving_api(site) as api:
        await put(api, await make_key_headers(site, project.id), "/project/budget", 50)
        assert (await scans.ended(site, scan)).status is IssueSessionStatus.completed


async def test_a_price_that_is_missing_is_waited_for(site: Installation) -> None:
    """A cap that is set while a run works with a model without a price holds it up until there is one."""
    project = await managed(site)
    async with site.database.transaction() as session:
        await session.execute(
            text(f"UPDATE cost_rate SET model_prefix = '{GONE}' WHERE model_prefix = '{HAIKU}'")
        )
    try:
        steps = [step.model_copy(update={"model": "claude-haiku-5-5"}) for step in ONE_DESIGNER_STEP]
        run = await site.accept(f"Spend {SPENDING}", steps, project=project)
        await cap(site, project.id, project.id, "5")
        await site.send(run)

        async def waits() -> bool:
            row = await site.read(run)
            return row.status is RunStatus.paused and _code(row) == "MODEL_WITHOUT_PRICE"

        await wait_until(waits, "the run waits for a price")
        async with serving_api(site) as api:
            headers = await make_key_headers(site, project.id)
            why = (await ask(api, headers, "GET", f"/runs/{run.id}/why")).json()["data"]
            assert why["code"] == "MODEL_WITHOUT_PRICE"
            assert "claude-haiku-5-5" in why["message"]
            assert (await ask(api, headers, "POST", f"/runs/{run.id}/resume")).status_code == 409
            body = {
                "modelPrefix": HAIKU,
                "input": 1,
                "cacheWrite5m": 1.25,
                "cacheWrite1h": 2,
                "cacheRead": 0.1,
                "output": 5,
            }
            priced = await api.http.post("/api/v1/cost-rates/upsert", json=body, headers=headers)
            assert priced.status_code == 200, priced.text
            outcome = await outcome_of(site, run)
        assert outcome.run.status is RunStatus.completed
        assert outcome.run.cost_usd > 0
        assert EventType.budget_reached not in outcome.types, "no cap is reached"
    finally:
        async with site.database.transaction() as session:
            await session.execute(
                text(f"UPDATE cost_rate SET model_prefix = '{HAIKU}' WHERE model_prefix = '{GONE}'")
            )
