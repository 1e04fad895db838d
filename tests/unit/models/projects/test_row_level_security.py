"""The second wall: whatever a statement forgets, PostgreSQL shows the API one project's rows and no other's.

A database with rows of two projects in every table, and each table tried with conditions left out altogether.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.errors import InsufficientPrivilege
from psycopg.rows import TupleRow
from sqlmodel import SQLModel

from api.http.rows import path_row, project_rows
from cli.deployment.migrate import upgrade
from kit.database import Database, driver_url
from kit.settings import Settings
from kit.tenancy import EVERY_PROJECT, NAME_PROJECT, DatabaseRole
from local.stack.postgres import Postgres
from models import ApiKey
from models.projects.api_key import SCOPES
from models.projects.project_rows import project_tables
from models.sandboxes.sandbox_schemas import SANDBOX_EVENTS
from tests.support.filled_database import OTHER, PROJECT, fill

TABLES = [table.name for table, _ in project_tables(PROJECT)]
STRANGER = "prj_" + "0" * 31 + "9"
PRICES = "project_id IS NULL"
"""Of models, for every project that has set none of its own."""


@pytest.fixture(scope="module")
async def walls(postgres: Postgres) -> AsyncIterator[Connection[TupleRow]]:
    """A connection of the owner's to a database with rows of `PROJECT` and of `OTHER` in every table."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE walls")
    url = re.sub(r"/[^/]*$", "/walls", postgres.url)
    await asyncio.to_thread(upgrade, url)
    key, _ = ApiKey.generate(project_id=PROJECT, member_id="user", name="x", scopes=[*SCOPES])
    await asyncio.to_thread(fill, url, key)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@contextmanager
def taken_on(connection: Connection[TupleRow], role: DatabaseRole, project: str | None) -> Iterator[None]:
    """Be a process in this role, whose transaction names a project; all of it is taken back."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL ROLE {role}".encode())
        if project is not None:
            connection.execute(NAME_PROJECT, {"project": project})
        yield


def count(connection: Connection[TupleRow], table: str, where: str = "true") -> int:
    found = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}".encode()).fetchone()
    assert found is not None
    return int(found[0])


def seen(connection: Connection[TupleRow], table: str, role: DatabaseRole, project: str | None) -> int:
    with taken_on(connection, role, project):
        return count(connection, table)


@pytest.mark.parametrize("table", TABLES)
def test_the_api_sees_the_named_projects_rows_alone(walls: Connection[TupleRow], table: str) -> None:
    every = count(walls, table)
    assert every > 0, "there is nothing in it to be seen"
    api = DatabaseRole.api
    mine, theirs = seen(walls, table, api, PROJECT), seen(walls, table, api, OTHER)
    assert mine > 0
    ours = count(walls, table, PRICES) if table == "cost_rate" else 0
    assert mine + theirs == every + ours
    if "project_id" in SQLModel.metadata.tables[table].columns:
        assert mine == count(walls, table, f"project_id = '{PROJECT}'") + ours
    assert seen(walls, table, api, EVERY_PROJECT) == every
    for nobody in (None, "", STRANGER):
        assert seen(walls, table, api, nobody) == ours


@pytest.mark.parametrize("table", TABLES)
def test_the_worker_sees_every_row(walls: Connection[TupleRow], table: str) -> None:
    assert seen(walls, table, DatabaseRole.worker, None) == count(walls, table)


@pytest.mark.parametrize("table", TABLES)
def test_the_api_changes_no_other_projects_rows(walls: Connection[TupleRow], table: str) -> None:
    name = sql.Identifier(table)
    columns = sql.SQL(", ").join(map(sql.Identifier, SQLModel.metadata.tables[table].columns.keys()))
    [first, *_] = SQLModel.metadata.tables[table].columns.keys()
    with taken_on(walls, DatabaseRole.api, STRANGER):
        unchanged = sql.SQL("UPDATE {0} SET {1} = {1}").format(name, sql.Identifier(first))
        assert walls.execute(unchanged).rowcount == 0
        assert walls.execute(sql.SQL("DELETE FROM {}").format(name)).rowcount == 0
    row = walls.execute(sql.SQL("SELECT to_jsonb({0}) FROM {0} LIMIT 1").format(name)).fetchone()
    assert row is not None
    copy = sql.SQL(
        "INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM jsonb_populate_record(NULL::{0}, %s)"
    ).format(name, columns)
    with (
        pytest.raises(InsufficientPrivilege, match="violates row-level security policy"),
        taken_on(walls, DatabaseRole.api, STRANGER),
    ):
        walls.execute(copy, [psycopg.types.json.Jsonb(row[0])])


def test_a_row_does_not_move_to_another_project(walls: Connection[TupleRow]) -> None:
    refused = pytest.raises(InsufficientPrivilege, match="violates row-level security policy")
    with refused, taken_on(walls, DatabaseRole.api, PROJECT):
        walls.execute(b"UPDATE run SET project_id = %s", [OTHER])


def test_prices_of_every_project_are_read_and_not_changed(walls: Connection[TupleRow]) -> None:
    with taken_on(walls, DatabaseRole.api, STRANGER):
        assert count(walls, "cost_rate", PRICES) > 0
        assert walls.execute(f"DELETE FROM cost_rate WHERE {PRICES}".encode()).rowcount == 0


def test_a_search_finds_the_named_projects_names_alone(walls: Connection[TupleRow]) -> None:
    find = b"SELECT run.id FROM runs_named_like('%%name%%', 10000) AS found JOIN run ON run.id = found"
    ids: dict[str, set[str]] = {}
    for project in (PROJECT, OTHER, STRANGER):
        with taken_on(walls, DatabaseRole.api, project):
            ids[project] = {row[0] for row in walls.execute(find.replace(b"%%", b"%"))}
    assert ids[PROJECT]
    assert ids[OTHER]
    assert not ids[PROJECT] & ids[OTHER]
    assert not ids[STRANGER]


def test_a_search_finds_few_names_by_the_index(walls: Connection[TupleRow]) -> None:
    """A function's body is in no plan of who calls it, so it is explained by itself."""
    body = walls.execute(b"SELECT pg_get_function_sqlbody('runs_named_like'::regproc)").fetchone()
    assert body is not None
    select = str(body[0]).split("ATOMIC")[1].rsplit(";", 1)[0].strip()
    for name, value in (("pattern", "'%needle%'"), ("most", "501")):
        select = re.sub(rf"(?:runs_named_like\.)?\b{name}\b", value, select)
    walls.execute(b"ANALYZE run")
    with taken_on(walls, DatabaseRole.worker, PROJECT):
        plan = "\n".join(str(row[0]) for row in walls.execute(f"EXPLAIN {select}".encode()))
    assert "run_by_name" in plan, plan


def test_every_table_is_forced(walls: Connection[TupleRow]) -> None:
    """Whoever owns the tables is bound, too; only a superuser is not."""
    found = walls.execute(
        b"SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class"
        b" WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    assert {name for name, is_forced in found if is_forced} == {*TABLES}


@pytest.mark.parametrize("role", DatabaseRole)
def test_the_roles_own_nothing_and_are_no_superusers(walls: Connection[TupleRow], role: DatabaseRole) -> None:
    attributes = "rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication"
    found = walls.execute(f"SELECT {attributes} FROM pg_roles WHERE rolname = %s".encode(), [role])
    assert found.fetchone() == (False,) * 6
    owned = walls.execute(
        b"SELECT relname FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner WHERE rolname = %s", [role]
    )
    assert owned.fetchall() == []
    with pytest.raises(InsufficientPrivilege), taken_on(walls, role, None):
        walls.execute(b"CREATE TABLE mine ()")
    with pytest.raises(InsufficientPrivilege), taken_on(walls, role, None):
        walls.execute(b"UPDATE alembic_version SET version_num = ''")


async def test_what_the_api_was_given_is_left_in_no_connection(
    walls: Connection[TupleRow], settings: Settings, postgres: Postgres
) -> None:
    """One connection serves one project after the other, and then nobody's."""
    url = driver_url(re.sub(r"/[^/]*$", "/walls", postgres.url))
    database = Database(url, role=DatabaseRole.api, pool_size=1)
    reads = "SELECT count(*) FROM run"
    try:
        for project, sees in ((PROJECT, True), (OTHER, True), (STRANGER, False)):
            [[found]] = await database.for_project(project).sql.fetch(reads, {})
            assert bool(found) is sees
            async with database.for_project(project).transaction() as session:
                connection = await session.connection()
                assert bool((await connection.exec_driver_sql(reads)).scalar_one()) is sees
            [[found]] = await database.sql.fetch(reads, {})
            assert found == 0
            async with database.transaction() as session:
                connection = await session.connection()
                assert (await connection.exec_driver_sql(reads)).scalar_one() == 0
    finally:
        await database.close()


def test_the_api_has_no_rights_on_a_table_that_no_migration_gave_it(walls: Connection[TupleRow]) -> None:
    """Whoever forgets the policy of a new table finds out before anything leaks."""
    with walls.transaction(force_rollback=True):
        walls.execute(b"CREATE TABLE forgotten (id text)")
        walls.execute(f"SET LOCAL ROLE {DatabaseRole.worker}".encode())
        assert count(walls, "forgotten") == 0
        walls.execute(f"SET LOCAL ROLE {DatabaseRole.api}".encode())
        with pytest.raises(InsufficientPrivilege):
            count(walls, "forgotten")


def test_an_operation_over_rows_without_a_project_is_refused_when_it_is_imported() -> None:
    for dependency in (project_rows, path_row):
        with pytest.raises(TypeError, match="has no project_id"):
            dependency(SANDBOX_EVENTS)
