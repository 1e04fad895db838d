"""Usage: its records, by days of a time zone, by filters, page by page, and what they come to."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kit.database import Database
from kit.ids import new_id
from models import UsageRecord
from models.budgets.usage import UsageUnit
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient

RUN, CHAIN, SESSION = new_id("r"), new_id("wc"), new_id("is")
LATE = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
"""Already the 16th in Kolkata, still the 15th in New York."""


def record(project: ProjectKey, moment: datetime, **fields: Any) -> UsageRecord:
    given: dict[str, Any] = {
        "service": "anthropic",
        "unit": UsageUnit.input_tokens,
        "quantity": 10,
        "cost_usd": Decimal("0.25"),
    }
    return UsageRecord(
        project_id=project.id,
        created_at=moment,
        date=moment.date(),
        source_id=new_id("msg"),
        **given | fields,
    )


@pytest.fixture
async def rows(database: Database, project: ProjectKey) -> list[str]:
    """Ids of five records, newest first."""
    rows = [
        record(project, LATE),
        record(project, LATE, unit=UsageUnit.output_tokens, quantity=4, cost_usd=Decimal(1), run_id=RUN),
        record(project, LATE - timedelta(days=2), run_id=RUN, chain_id=CHAIN),
        record(project, LATE - timedelta(days=3), issue_session_id=SESSION),
        record(
            project,
            LATE - timedelta(days=40),
            service="e2b",
            unit=UsageUnit.sandbox_seconds,
            quantity=60,
            cost_usd=Decimal(0),
            sandbox_id="s_x",
        ),
    ]
    async with database.transaction() as session:
        session.add_all(rows)
    return [row.id for row in sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)]


async def test_records_newest_first_by_every_filter(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, rows: list[str]
) -> None:
    call = ContractClient(client)
    everything = await call("listUsage")
    assert [each["id"] for each in everything] == rows
    assert everything[-1]["date"] == "2025-12-06"
    b, a, c, d, e = rows  # of two at the same moment the one with the greater id comes first
    for query, expected in (
        ({"startDate": "2026-01-15"}, [b, a]),
        ({"endDate": "2026-01-13"}, [c, d, e]),
        ({"startDate": "2026-01-12", "endDate": "2026-01-13"}, [c, d]),
        ({"startDate": "2026-01-16", "timezone": "Asia/Kolkata"}, [b, a]),
        ({"startDate": "2026-01-16", "timezone": "America/New_York"}, []),
        ({"startDate": "2026-01-16"}, []),
        ({"service": "e2b"}, [e]),
        ({"unit": "output_tokens"}, [b]),
        ({"runId": RUN}, [b, c]),
        ({"chainId": CHAIN}, [c]),
        ({"issueSessionId": SESSION}, [d]),
        ({"service": "openai"}, []),
        ({"runId": RUN, "unit": "input_tokens", "startDate": "2026-01-01"}, [c]),
    ):
        assert [each["id"] for each in await call("listUsage", **query)] == expected, query
    assert (await stranger.get("/analytics/usage")).json()["data"] == []


async def test_records_page_by_page(client: httpx.AsyncClient, rows: list[str]) -> None:
    """Also those of the same moment; a summary is of all pages."""
    found: list[str] = []
    query: dict[str, Any] = {"limit": 1, "startDate": "2025-12-01", "groupBy": "unit"}
    while True:
        answer = (await client.get("/analytics/usage", params=query)).json()
        found += [each["id"] for each in answer["data"]]
        assert answer["summary"]["records"] == 5
        if not answer["hasMore"]:
            break
        query["cursor"] = answer["nextCursor"]
    assert found == rows
    foreign = await client.get("/analytics/usage", params={"limit": 1, "cursor": query["cursor"]})
    assert (foreign.status_code, foreign.json()["error"]["field"]) == (400, "cursor")


async def test_what_it_comes_to(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, rows: list[str]
) -> None:
    call = ContractClient(client)

    async def summary(**query: str) -> Any:
        answer = await client.get("/analytics/usage", params={"limit": "1", **query})
        await call("listUsage", **query)
        return answer.json()["summary"]

    assert await summary() is None
    month = {"startDate": "2026-01-12", "endDate": "2026-01-15"}
    by_day = await summary(groupBy="day", **month)
    assert (by_day["records"], by_day["costUsd"], by_day["groupBy"]) == (4, 1.75, "day")
    assert [(group["key"], group["costUsd"], group["quantities"]) for group in by_day["groups"]] == [
        ("2026-01-12", 0.25, {"input_tokens": 10}),
        ("2026-01-13", 0.25, {"input_tokens": 10}),
        ("2026-01-14", 0, {}),
        ("2026-01-15", 1.25, {"input_tokens": 10, "output_tokens": 4}),
    ]
    kolkata = await summary(
        groupBy="day", timezone="Asia/Kolkata", startDate="2026-01-15", endDate="2026-01-16"
    )
    assert [group["costUsd"] for group in kolkata["groups"]] == [0, 1.25]
    services = await summary(groupBy="service", startDate="2025-12-01", endDate="2026-01-31")
    assert [(group["key"], group["records"]) for group in services["groups"]] == [
        ("anthropic", 4),
        ("e2b", 1),
    ]
    units = await summary(groupBy="unit", **month)
    assert [group["key"] for group in units["groups"]] == ["output_tokens", "input_tokens"]
    for filters, cost, records in (
        ({"runId": RUN}, 1.25, 2),
        ({"unit": "input_tokens"}, 0.75, 3),
        ({"chainId": CHAIN}, 0.25, 1),
        ({"service": "e2b"}, 0, 0),
        ({"runId": RUN, "unit": "output_tokens"}, 1, 1),
    ):
        found = await summary(groupBy="day", **month, **filters)
        assert (found["costUsd"], found["records"], len(found["groups"])) == (cost, records, 4), filters
    theirs = await stranger.get("/analytics/usage", params={"groupBy": "service", **month})
    assert theirs.json()["summary"] == {"groupBy": "service", "records": 0, "costUsd": 0, "groups": []}


@pytest.mark.parametrize("path", ["usage", "daily-stats"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("startDate=2026-1-5", "startDate"),
        ("startDate=20260105", "startDate"),
        ("endDate=2026-02-30", "endDate"),
        ("endDate=2026-01-05T00:00:00Z", "endDate"),
        ("startDate=1700000000", "startDate"),
        ("startDate=0001-01-01", "startDate"),
        ("endDate=9999-12-31", "endDate"),
        ("startDate=", "startDate"),
        ("startDate=2026-01-02&endDate=2026-01-01", "endDate"),
        ("timezone=Mars/Base", "timezone"),
        ("timezone=America", "timezone"),
        ("timezone=../../etc/passwd", "timezone"),
        ("timezone=", "timezone"),
        ("startDate=2024-01-01&endDate=2025-01-01&groupBy=day", "endDate"),
        ("cursor=x", "cursor"),
        ("limit=101", "limit"),
    ],
)
async def test_ranges_that_cannot_be(client: httpx.AsyncClient, path: str, query: str, field: str) -> None:
    answer = await client.get(f"/analytics/{path}?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field), answer.text


async def test_a_summary_needs_a_beginning(client: httpx.AsyncClient) -> None:
    for query, field in (("groupBy=day", "startDate"), ("groupBy=model", "groupBy"), ("unit=x", "unit")):
        answer = await client.get(f"/analytics/usage?{query}")
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
