"""Counters of a project: exact, its own, and read from indexes."""

import httpx
from sqlalchemy import text
from sqlalchemy.event import listen
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.database import Database
from models import Run, Sandbox
from models.analytics.counters import count_project
from models.runs.run import RunStatus
from models.sandboxes.sandbox import SandboxStatus
from tests.conftest import ProjectKey, make_project
from tests.support.contract_client import ContractClient
from tests.unit.api.runs.test_runs import start


async def test_everything_of_the_project_is_counted(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    run_body: dict[str, str],
    database: Database,
    project: ProjectKey,
) -> None:
    """And nothing of another's, nor of what is in the trash."""
    for counting in (client, stranger):
        await counting.post("/issues/create", json={"title": "A"})
        await counting.post("/personas/create", json={"name": "P", "type": "designer"})
        await counting.post("/project/members/invite", json={"email": "a@b.c"})
    ids = [(await start(client, run_body))["id"] for _ in range(3)]
    async with database.transaction() as session:
        (await session.get_one(Run, ids[0])).status = RunStatus.completed
        (await session.get_one(Run, ids[1])).trash()
        for status in (SandboxStatus.running, SandboxStatus.killed):
            session.add(
                Sandbox(
                    project_id=project.id,
                    job_id=ids[2],
                    name="s",
                    status=status,
                    template_id="base",
                    timeout_ms=1000,
                )
            )
    counted = await ContractClient(client)("getProjectCounters")
    assert counted["runsByStatus"] == {
        "pending": 0,
        "running": 1,
        "paused": 0,
        "completed": 1,
        "failed": 0,
        "cancelled": 0,
    }
    expected = {
        "totalRuns": 2,
        "activeSandboxes": 1,
        "pendingIssues": 1,
        "openIssues": 1,
        "workflows": 1,
        "personas": 1,
        "members": 1,
        "pendingInvitations": 1,
        "activeChains": 0,
        "pendingQuestions": 0,
    }
    assert {name: counted[name] for name in expected} == expected
    assert (await stranger.get("/project/counters")).json()["data"]["totalRuns"] == 0


async def test_a_project_among_many_is_counted_by_its_indexes(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database, project: ProjectKey
) -> None:
    """In one statement, which scans no large table."""
    other = await make_project(database)
    run_id = (await start(client, run_body))["id"]
    columns = [column.name for column in Run.__table__.columns]  # type: ignore[attr-defined]
    fresh = {
        "id": "'r_' || md5(random()::text)",
        "run_number": "n",
        "unique_key": "NULL",
        "project_id": ":other",
    }
    values = ", ".join(fresh.get(name, name) for name in columns)
    copy = f"SELECT {values} FROM run, generate_series(2, 20000) AS n WHERE id = :id"
    statements: list[tuple[str, dict[str, object]]] = []

    def note(_: object, __: object, statement: str, parameters: dict[str, object], *___: object) -> None:
        statements.append((statement, parameters))

    async with AsyncSession(database.engine) as session:  # taken back at the end
        await session.execute(
            text(f"INSERT INTO run ({', '.join(columns)}) {copy}"), {"id": run_id, "other": other.id}
        )
        await session.execute(text("SET LOCAL ROLE NONE"))
        await session.execute(text("ANALYZE run"))
        connection = await session.connection()
        listen(connection.sync_connection, "before_cursor_execute", note)
        assert (await count_project(session, project.id)).total_runs == 1
        [(statement, parameters)] = statements
        assert (await count_project(session, other.id)).total_runs == 19_999
        explained = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        plan = "\n".join(row[0] for row in explained)
    assert "Seq Scan on run" not in plan
