"""A list of 100,000 rows, read page by page while rows come and go."""

from collections.abc import Sequence
from typing import Any

import psycopg
from fastapi import FastAPI

from local.stack.postgres import Postgres
from models.blueprints.persona_schemas import PERSONAS
from tests.conftest import ProjectKey
from tests.unit.api.conftest import client_of

ROWS = 100_000
INSERT = """
    INSERT INTO persona (id, project_id, created_at, updated_at, name, type, cli_id, thinking_effort,
        selected_skills, selected_commands, selected_scripts, is_enabled)
    SELECT 'per_' || lpad(to_hex(n), 32, '0'), %(project)s, now(), now(), 'Persona ' || n, 'judge', 'claude',
        'low', '{}', '{}', '{}', true
    FROM generate_series(%(first)s, %(last)s) AS n
"""
OFFSET = 0x0198F2C4 << 20
"""Ids of a past time, so that they are older than any that is made now."""


def add(connection: psycopg.Connection[Any], project: ProjectKey, first: int, count: int) -> None:
    values = {"project": project.id, "first": OFFSET + first, "last": OFFSET + first + count - 1}
    connection.execute(INSERT, values)


def id_of(number: int) -> str:
    return f"per_{OFFSET + number:032x}"


async def test_paging_reads_every_remaining_row_once(
    app: FastAPI, postgres: Postgres, project: ProjectKey
) -> None:
    """Rows that come after the beginning are not seen; one that goes is seen if it was read before."""
    gone: set[str] = set()
    seen: list[str] = []
    blocks: list[int] = []
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        add(connection, project, 0, ROWS)
        connection.execute("ANALYZE persona")
        async with client_of(app, project) as client:
            query: dict[str, Any] = {"limit": 100}
            for page in range(1, 10 * ROWS):
                found = (await client.get("/personas/list", params=query)).json()
                seen += [row["id"] for row in found["data"]]
                if page in (1, 100, 900):
                    blocks.append(read_blocks(connection, project, seen[-1]))
                if not found["hasMore"]:
                    break
                query["cursor"] = found["nextCursor"]
                if page % 10 == 0:
                    add(connection, project, ROWS + page, 3)
                    removed = [id_of((page * 7919 + step * 104_729) % ROWS) for step in range(5)]
                    delete(connection, removed[:3])
                    trash(connection, removed[3:])
                    gone |= set(removed) - set(seen)
    everything = {id_of(number) for number in range(ROWS)}
    assert len(seen) == len(set(seen)), "no row twice"
    assert everything - gone <= set(seen), "every surviving row"
    assert set(seen) <= everything - gone, "none that came, none that went before it was read"
    assert seen == sorted(seen, reverse=True)
    assert max(blocks) <= 2 * min(blocks) + 10, f"a page costs the same wherever it is: {blocks}"


def delete(connection: psycopg.Connection[Any], ids: Sequence[str]) -> None:
    connection.execute("DELETE FROM persona WHERE id = ANY(%s)", [list(ids)])


def trash(connection: psycopg.Connection[Any], ids: Sequence[str]) -> None:
    connection.execute("UPDATE persona SET deleted_at = now() WHERE id = ANY(%s)", [list(ids)])


def read_blocks(connection: psycopg.Connection[Any], project: ProjectKey, after: str) -> int:
    """How many blocks the database touches for the page after this row."""
    statement = PERSONAS.page(("project_id",), frozenset(), True, True)
    values = {"project_id": project.id, "after_0": after, "take": 101}
    row = connection.execute(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}".encode(), values
    ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
