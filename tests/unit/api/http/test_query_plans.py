"""No query of the API reads much of a large table, whatever is asked for.

Every GET of the description is sent, without filters and with each of its filters, to a database in which
each table has many rows, the older half of them the caller's. Every statement that it led to is explained.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import PostgresDsn
from sqlalchemy import event

from cli.deployment.migrate import upgrade
from kit.settings import Settings
from kit.sql_pool import SqlPool
from kit.tenancy import NAME_PROJECT, DatabaseRole
from local.stack.postgres import Postgres
from models import ApiKey
from models.projects.api_key import SCOPES
from tests.support.filled_database import KINDS, PROJECT, ROWS, fill
from tests.support.operations import OPENAPI, PRIVATE, Operation
from tests.unit.api.conftest import running

MOST = 1_000
"""Rows that one step of a plan may read: a page of 100, some times over."""
COUNTING = {"getCounters", "getProjectCounters", "getAnalyticsCounters", "getLearningStats"}
"""Operations that count all there is, in indexes."""
IN_ORDER = {"types", "eventType"}
"""Filters of feeds, which are read in their order and for all types alike."""
OUTSIDE = {"listBranches"}
"""They ask GitHub."""
FOREIGN = "0" * 32
"""The body of an id that nothing has."""
IDS = {
    "runs": "r",
    "workflows": "wf",
    "personas": "per",
    "sandboxes": "s",
    "issues": "iss",
    "issue-sessions": "is",
    "answering-sessions": "as",
    "sprint-chains": "sc",
    "work-chains": "wc",
    "recurring-tasks": "rt",
    "contexts": "ctx",
    "skills": "skill",
    "commands": "cmd",
    "scripts": "scr",
    "learnings": "lrn",
    "learning-versions": "lv",
    "merging": "mj",
    "notifications": "notif",
    "webhooks/deliveries": "whd",
    "webhooks": "whe",
    "github/hooks": "ghk",
}
"""What the ids of a path begin with."""
NAMED = {
    "runId": "r",
    "workflowId": "wf",
    "sessionId": "is",
    "issueSessionId": "is",
    "answeringSessionId": "as",
    "sandboxId": "s",
    "recurringTaskId": "rt",
    "personaId": "per",
    "learningId": "lrn",
}
"""What the ids of a filter begin with."""


def some(prefix: str) -> str:
    """The id of a row in the middle of the project's."""
    kind = [*KINDS].index(prefix) if prefix in KINDS else 0
    middle = {"whe": 4, "ghk": 4, "lrn": 24, "lv": 24}.get(prefix, ROWS // 3 // 4 * 4)
    return f"{prefix}_{middle + kind:032x}"


@dataclass
class Seen:
    """Statements that were sent, each once."""

    statements: dict[str, Any] = field(default_factory=dict)

    def add(self, statement: str, parameters: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE")):
            self.statements[statement] = parameters


@dataclass
class Large:
    """A large database and who asks it."""

    url: str
    client: httpx.AsyncClient
    seen: Seen


@pytest.fixture(scope="module")
async def large(postgres: Postgres, api_settings: Settings) -> AsyncIterator[Large]:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE large")
    url = re.sub(r"/[^/]*$", "/large", postgres.url)
    await asyncio.to_thread(upgrade, url)
    key, secret = ApiKey.generate(project_id=PROJECT, member_id="user", name="x", scopes=[*SCOPES])
    await asyncio.to_thread(fill, url, key)
    settings = api_settings.model_copy(update={"database_url": PostgresDsn(url)})
    with pytest.MonkeyPatch.context() as patched:
        async with running(settings) as app:
            seen = Seen()
            listen(app, seen, patched)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app, raise_app_exceptions=False),
                base_url="http://test",
                headers={"Authorization": f"Bearer {secret}"},
            ) as client:
                yield Large(url, client, seen)


def listen(app: FastAPI, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every statement of the application seen, by whatever way it is sent."""
    fetch = SqlPool.fetch

    async def spy(pool: SqlPool, statement: str, parameters: Mapping[str, object]) -> Any:
        seen.add(statement, parameters)
        return await fetch(pool, statement, parameters)

    monkeypatch.setattr(SqlPool, "fetch", spy)

    def before(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        seen.add(statement, parameters)

    event.listen(app.state.api.database.engine.sync_engine, "before_cursor_execute", before)


def samples(parameter: dict[str, Any]) -> list[str]:
    """Values of a filter: each that there is, or one that something has and one that nothing has."""
    name, schema = parameter["name"], parameter["schema"]
    choices = [schema, *schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    choices += [option["items"] for option in schema.get("anyOf", []) if "items" in option]
    for choice in choices:
        if "$ref" in choice:
            choice = OPENAPI["components"]["schemas"][choice["$ref"].rsplit("/", 1)[-1]]
        if "enum" in choice:
            return [str(each) for each in choice["enum"]]
        if choice.get("type") == "boolean":
            return ["true", "false"]
        if choice.get("format") == "date":
            return ["2026-01-02"]
        if choice.get("format") == "date-time":
            return ["2026-01-01T05:00:00Z"]
        if choice.get("type") == "integer":
            return ["1"]
    if name == "after":
        return ["742.18"]
    if name == "search":
        return ["needle", "name", "zzzzz"]
    if name == "chainId":
        return [some("wc"), some("sc"), f"wc_{FOREIGN}"]
    if name in NAMED:
        return [some(NAMED[name]), f"{NAMED[name]}_{FOREIGN}"]
    return ["anthropic", "zzzzz"]


def requests(operation: Operation) -> Iterator[tuple[str, dict[str, str]]]:
    """Paths and queries: without filters, and with each of them alone."""
    prefixes = (prefix for path, prefix in IDS.items() if operation.path.startswith(f"/api/v1/{path}"))
    id = some(next(prefixes, "r"))  # noqa: A001
    path = re.sub(r"\{(\w+)\}", lambda found: id if found[1] == "id" else "1", operation.path)
    base = {
        each["name"]: id if each["name"] == "id" else samples(each)[0]
        for each in operation.query_parameters
        if each["required"]
    }
    if operation.id == "followRunEvents":
        base["follow"] = "false"
    yield path, base
    for parameter in operation.query_parameters:
        if parameter["name"] in ("limit", "cursor", "wait", "timezone", "follow", *IN_ORDER, *base):
            continue
        for sample in samples(parameter):
            days = {"startDate": "2026-01-01", "endDate": "2026-01-03"}
            extra = days if parameter["name"] in ("groupBy", "startDate", "endDate") else {}
            yield path, {**base, **extra, parameter["name"]: sample}


GETS = [one for one in PRIVATE if one.method == "GET" and one.id not in OUTSIDE]


@pytest.mark.parametrize("operation", GETS, ids=str)
async def test_no_query_reads_much_of_a_large_table(large: Large, operation: Operation) -> None:
    large.seen.statements.clear()
    status: set[int] = set()
    with psycopg.connect(large.url, autocommit=True) as connection:
        for path, query in requests(operation):
            answer = await large.client.get(path, params=query)
            status.add(answer.status_code)
            assert answer.status_code in (200, 404, 409), answer.text
            for statement, parameters in large.seen.statements.items():
                plan = explain(connection, statement, parameters)
                for step in steps(plan):
                    name = step.get("Relation Name") or step.get("Index Name")
                    most = ROWS if operation.id in COUNTING else MOST
                    assert rows(step) <= most, f"{query}: {rows(step):.0f} of {name} by {step['Node Type']}"
            large.seen.statements.clear()
    assert status & {200, 409}, "it found nothing to look at: name the ids of its path in IDS"


def explain(connection: psycopg.Connection[Any], statement: str, parameters: Any) -> dict[str, Any]:
    """The plan of a statement as the API runs it, policies of row-level security included."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL ROLE {DatabaseRole.api}".encode())
        connection.execute(NAME_PROJECT, {"project": PROJECT})
        row = connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), parameters
        ).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in plan or "Index Name" in plan:
        yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)


def rows(step: dict[str, Any]) -> float:
    """How many rows a step read, those included that it left out."""
    left_out = step.get("Rows Removed by Filter", 0) + step.get("Rows Removed by Index Recheck", 0)
    return float((step["Actual Rows"] + left_out) * step["Actual Loops"])


def test_the_law_can_fail(postgres: Postgres, large: Large) -> None:
    with psycopg.connect(large.url, autocommit=True) as connection:
        for statement in (
            "SELECT 1 FROM run WHERE prompt = 'x'",
            f"SELECT 1 FROM run WHERE project_id = '{PROJECT}' AND prompt = 'x' ORDER BY id DESC LIMIT 10",
        ):
            found = [rows(step) for step in steps(explain(connection, statement, {}))]
            assert max(found) >= ROWS / 2 - 1
