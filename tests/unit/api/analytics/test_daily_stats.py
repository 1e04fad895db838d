"""The project day by day, and a workflow's figures."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from kit.database import Database
from models import Run, RunStep
from models.base import now
from models.blueprints.persona import StepRole, ThinkingEffort
from models.budgets.usage import UsageUnit
from models.runs.run import PrStatus, RunStatus
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.unit.api.analytics.test_usage import LATE, record
from tests.unit.api.runs.test_runs import start

ZEROS = {
    "runsStarted": 0,
    "runsCompleted": 0,
    "runsFailed": 0,
    "runsCancelled": 0,
    "pullRequests": 0,
    "pullRequestsMerged": 0,
    "costUsd": 0,
    "sandboxSeconds": 0,
    "apiCalls": 0,
    "tokenUsage": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
}


@pytest.fixture
async def runs(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database, project: ProjectKey
) -> list[str]:
    """Three runs around midnight of the 15th of January in UTC, and one in the trash."""
    ids = [(await start(client, run_body))["id"] for _ in range(4)]
    done, failed, cancelled = RunStatus.completed, RunStatus.failed, RunStatus.cancelled
    later, cost = LATE + timedelta(hours=1), Decimal("0.5")
    changes: list[dict[str, Any]] = [
        {
            "status": done,
            "completed_at": later,
            "pr_status": PrStatus.merged,
            "pr_number": 1,
            "cost_usd": cost,
            "quality_score": 90.0,
            "input_tokens": 100,
        },
        {"status": failed, "completed_at": LATE, "pr_status": PrStatus.failed, "cost_usd": Decimal(1)},
        {"status": cancelled, "completed_at": LATE, "cost_usd": Decimal(0)},
        {"status": done, "completed_at": LATE, "deleted_at": LATE, "cost_usd": Decimal(7)},
    ]
    async with database.transaction() as session:
        for id, values in zip(ids, changes, strict=True):  # noqa: A001
            values |= {"created_at": LATE - timedelta(hours=1), "started_at": LATE - timedelta(hours=1)}
            await session.execute(update(Run).where(col(Run.id) == id).values(**values))
        session.add_all(
            [
                record(project, LATE),
                record(project, later, unit=UsageUnit.cache_read_tokens),
                record(project, later, service="e2b", unit=UsageUnit.sandbox_seconds, quantity=60),
            ]
        )
    return ids


async def test_every_day_is_there(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, runs: list[str]
) -> None:
    call = ContractClient(client)
    query = {"startDate": "2026-01-14", "endDate": "2026-01-16"}
    days = await call("listDailyStats", **query)
    tokens = {"input": 10, "output": 0, "cacheRead": 0, "cacheWrite": 0}
    assert days == [
        {
            **ZEROS,
            "date": "2026-01-16",
            "runsCompleted": 1,
            "pullRequests": 1,
            "pullRequestsMerged": 1,
            "costUsd": 0.5,
            "sandboxSeconds": 60,
            "tokenUsage": {**tokens, "input": 0, "cacheRead": 10},
        },
        {
            **ZEROS,
            "date": "2026-01-15",
            "runsStarted": 3,
            "runsFailed": 1,
            "runsCancelled": 1,
            "costUsd": 0.25,
            "tokenUsage": tokens,
        },
        {**ZEROS, "date": "2026-01-14"},
    ]
    kolkata = await call("listDailyStats", **query, timezone="Asia/Kolkata")
    assert [(day["runsStarted"], day["runsFailed"], day["costUsd"]) for day in kolkata] == [
        (3, 1, 0.75),
        (0, 0, 0),
        (0, 0, 0),
    ]
    theirs = (await stranger.get("/analytics/daily-stats", params=query)).json()["data"]
    assert theirs == [{**ZEROS, "date": day["date"]} for day in days]


async def test_days_page_by_page(client: httpx.AsyncClient, runs: list[str]) -> None:
    query: dict[str, Any] = {"startDate": "2025-01-01", "endDate": "2026-01-01"}
    whole = (await client.get("/analytics/daily-stats", params=query)).json()
    assert (len(whole["data"]), whole["hasMore"]) == (100, True)
    dates: list[str] = []
    query["limit"] = 50
    while True:
        page = (await client.get("/analytics/daily-stats", params=query)).json()
        dates += [day["date"] for day in page["data"]]
        if not page["hasMore"]:
            break
        query["cursor"] = page["nextCursor"]
    assert (len(dates), dates[0], dates[-1]) == (366, "2026-01-01", "2025-01-01")
    assert dates == sorted(set(dates), reverse=True)
    usual = (await client.get("/analytics/daily-stats")).json()
    assert (len(usual["data"]), usual["hasMore"]) == (30, False)
    assert usual["data"][0]["date"] == datetime.now(UTC).date().isoformat()


async def test_a_workflows_figures(
    client: httpx.AsyncClient,
    runs: list[str],
    run_body: dict[str, str],
    database: Database,
    project: ProjectKey,
) -> None:
    call = ContractClient(client)
    await start(client, run_body)
    async with database.transaction() as session:
        for index, (run, role, cost) in enumerate(
            (
                (runs[0], StepRole.designer, "0.3"),
                (runs[0], StepRole.checker, "0.2"),
                (runs[1], StepRole.designer, "1"),
                (runs[3], StepRole.designer, "7"),
            )
        ):
            session.add(
                RunStep(
                    project_id=project.id,
                    run_id=run,
                    index=index,
                    iteration=1,
                    role=role,
                    label="x",
                    model="m",
                    thinking_effort=ThinkingEffort.low,
                    cost_usd=Decimal(cost),
                    output_tokens=3,
                )
            )
    query = {"id": run_body["workflowId"], "startDate": "2026-01-15", "endDate": "2026-01-16"}
    found = await call("getWorkflowAnalytics", **query)
    figures = found["kpis"]
    assert {name: figures[name] for name in ("totalRuns", "activeRuns", "completedRuns", "failedRuns")} == {
        "totalRuns": 3,
        "activeRuns": 0,
        "completedRuns": 1,
        "failedRuns": 1,
    }
    assert (figures["cancelledRuns"], figures["successRate"], figures["pullRequests"]) == (1, 0.5, 1)
    assert (figures["totalCostUsd"], figures["averageCostUsd"], figures["averageQualityScore"]) == (
        1.5,
        0.5,
        90,
    )
    assert figures["averageDurationSeconds"] == pytest.approx((7200 + 3600 + 3600) / 3)
    assert figures["tokenUsage"]["input"] == 100
    shares = [
        (each["role"], each["model"], each["steps"], each["costUsd"]) for each in found["costBreakdown"]
    ]
    assert shares == [("designer", "m", 2, 1.3), ("checker", "m", 1, 0.2)]
    assert [(day["date"], day["runs"], day["successRate"], day["costUsd"]) for day in found["series"]] == [
        ("2026-01-15", 3, 0.5, 1.5),
        ("2026-01-16", 0, None, 0),
    ]
    kolkata = await call("getWorkflowAnalytics", **query, timezone="Asia/Kolkata")
    assert [day["runs"] for day in kolkata["series"]] == [0, 3]
    lately = await call("getWorkflowAnalytics", id=run_body["workflowId"])
    assert (len(lately["series"]), lately["kpis"]["totalRuns"], lately["kpis"]["activeRuns"]) == (30, 1, 1)
    assert lately["endDate"] == now().date().isoformat()
    week = await call("getWorkflowAnalytics", id=run_body["workflowId"], days=7)
    assert (len(week["series"]), week["series"][-1]["runs"]) == (7, 1)
    for more, field in (
        ("days=7&startDate=2026-01-01", "days"),
        ("days=400", "days"),
        ("timezone=x", "timezone"),
    ):
        answer = await client.get(f"/workflows/analytics?id={run_body['workflowId']}&{more}")
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
