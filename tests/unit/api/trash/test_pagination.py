"""The trash far down: every page is found by an index, and each object is listed once while others move."""

from collections.abc import Sequence
from datetime import timedelta

import httpx
from sqlalchemy import text

from kit.database import Database
from models.base import now
from models.trash.entry_schemas import TRASH
from tests.conftest import ProjectKey
from tests.support.superuser import superuser

MANY = 20_000
FILL = text("""
    INSERT INTO persona (id, project_id, created_at, updated_at, deleted_at, name, type, cli_id,
        thinking_effort, selected_skills, selected_commands, selected_scripts, is_enabled)
    SELECT 'per_' || md5(:project || n), :project, now(), now(), now() - n * interval '1 second', 'Ann',
        'designer', 'claude', 'low', '{}', '{}', '{}', true
    FROM generate_series(1, :many) AS n
""")


async def fill(database: Database, project: ProjectKey, many: int) -> None:
    async with superuser(database) as session:
        await session.execute(FILL, {"project": project.id, "many": many})
        await session.execute(text("ANALYZE persona"))


async def plan_of(database: Database, project: ProjectKey, place: Sequence[object]) -> str:
    where = {"project_id": project.id, "retention_days": 30}
    sql = TRASH.page(tuple(where), frozenset(), bool(place), True)
    values = {**where, "take": 26, **{f"after_{index}": value for index, value in enumerate(place)}}
    async with superuser(database) as session:
        connection = await session.connection()
        found = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}", values)
        return "\n".join(row[0] for row in found.all())


async def test_a_page_is_found_by_an_index_however_far_down(database: Database, project: ProjectKey) -> None:
    await fill(database, project, MANY)
    deep = [(now() - timedelta(seconds=MANY - 100)).isoformat(), "per_z"]
    for place in ([], deep):
        plan = await plan_of(database, project, place)
        assert "using persona_trashed on persona" in plan
        assert "Seq Scan on persona" not in plan
        [scan] = [line for line in plan.splitlines() if "using persona_trashed" in line]
        assert "actual rows=26.00" in scan, "it reads no more than a page"


async def test_each_is_listed_once_while_others_come_and_go(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    await fill(database, project, 250)
    listed: list[str] = []
    cursor: str | None = None
    while True:
        answer = await client.get("/trash", params={"limit": 100} | ({"cursor": cursor} if cursor else {}))
        listed += [entry["id"] for entry in answer.json()["data"]]
        cursor = answer.json()["nextCursor"]
        if cursor is None:
            break
        await client.post(f"/trash/persona/{listed[0]}/restore")
        created = await client.post("/personas/create", json={"name": "New", "type": "checker"})
        await client.post("/personas/delete", json={"personaId": created.json()["data"]["id"]})
    assert len(listed) == len(set(listed)) == 250
