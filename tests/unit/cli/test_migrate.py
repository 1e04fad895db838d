"""`codecourier migrate` where nobody is a superuser: as in a database that a provider runs."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlmodel import select

from cli.deployment.migrate import upgrade
from kit.database import Database, driver_url
from kit.tenancy import EVERY_PROJECT, DatabaseRole
from local.stack.ports import free_ports
from local.stack.postgres import Postgres
from models import Project

PASSWORDS = {DatabaseRole.api: "of the API's: %'\\", DatabaseRole.worker: "of-the-workers"}
OWNER = "an_owner"


def url_of(server: Postgres, user: str, password: str) -> str:
    parts = urlsplit(server.url)
    return parts._replace(
        netloc=f"{user}:{quote(password, safe='')}@{parts.hostname}:{parts.port}", path="/owned"
    ).geturl()


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """A server of its own, as roles are those of a whole server; its database belongs to no superuser."""
    directory = tmp_path_factory.mktemp("server")
    server = Postgres(directory / "postgres", free_ports(1)[0], directory / "postgres.log")
    await server.start()
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD 'owns-it'".encode())
            connection.execute(f"CREATE DATABASE owned OWNER {OWNER}".encode())
        await asyncio.to_thread(upgrade, url_of(server, OWNER, "owns-it"), PASSWORDS)
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def projects(server: Postgres) -> list[str]:
    """Two, made by a worker."""
    worker = Database(
        driver_url(url_of(server, DatabaseRole.worker, PASSWORDS[DatabaseRole.worker])),
        role=DatabaseRole.worker,
    )
    made = [Project(name=name, slug=name) for name in ("one", "two")]
    try:
        async with worker.transaction() as session:
            if found := (await session.exec(select(Project.id))).all():
                return [*found]
            session.add_all(made)
        return [project.id for project in made]
    finally:
        await worker.close()


@pytest.mark.parametrize("user", [DatabaseRole.api, OWNER])
async def test_the_api_sees_one_project_at_a_time(server: Postgres, projects: list[str], user: str) -> None:
    """Whether it signs in as its own role or as the owner, whose name it gives up at once."""
    password = PASSWORDS[DatabaseRole.api] if user == DatabaseRole.api else "owns-it"
    database = Database(driver_url(url_of(server, user, password)), role=DatabaseRole.api)
    try:
        for named, seen in (([projects[0]],) * 2, ([projects[1]],) * 2, (["nobody"], [])):
            async with database.for_project(named[0]).transaction() as session:
                assert (await session.exec(select(Project.id))).all() == seen
        async with database.for_project(EVERY_PROJECT).transaction() as session:
            assert {*(await session.exec(select(Project.id))).all()} == {*projects}
    finally:
        await database.close()


def test_the_owner_is_bound_too(server: Postgres, projects: list[str]) -> None:
    with psycopg.connect(url_of(server, OWNER, "owns-it"), autocommit=True) as connection:
        assert connection.execute("SELECT id FROM project").fetchall() == []


@pytest.mark.parametrize("role", DatabaseRole)
def test_who_signs_in_as_a_role_takes_on_no_other(server: Postgres, role: DatabaseRole) -> None:
    others = {*DatabaseRole, OWNER, "codecourier"} - {role}
    with psycopg.connect(url_of(server, role, PASSWORDS[role]), autocommit=True) as connection:
        for other in others:
            with pytest.raises(InsufficientPrivilege):
                connection.execute(f"SET ROLE {other}".encode())


async def test_migrate_is_repeatable_and_changes_passwords(server: Postgres) -> None:
    owner = url_of(server, OWNER, "owns-it")
    await asyncio.to_thread(upgrade, owner, {DatabaseRole.api: "another"})
    psycopg.connect(url_of(server, DatabaseRole.api, "another")).close()
    psycopg.connect(url_of(server, DatabaseRole.worker, PASSWORDS[DatabaseRole.worker])).close()
    await asyncio.to_thread(upgrade, owner, PASSWORDS)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url_of(server, DatabaseRole.api, "another"))
