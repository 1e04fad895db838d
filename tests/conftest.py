"""What tests share: a real PostgreSQL, a real Temporal server, a migrated database, and a project for each.

The servers are started when a test first asks for them and stopped at the end; rows stay, as every test has
its own project and nothing cleans up.
"""

import asyncio
import gc
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from cryptography.fernet import Fernet
from pydantic import PostgresDsn, SecretStr
from temporalio.client import Client
from xdist.scheduler import LoadScopeScheduling

from cli.deployment.migrate import upgrade
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from kit.temporal import connect
from kit.tenancy import DatabaseRole
from local.stack import ports
from local.stack.ports import free_ports
from local.stack.postgres import Postgres
from local.stack.temporal import NAMESPACE, Temporal
from models import AllowedRepository, ApiKey, Member, Project
from models.projects.allowed_repository import EVERY_REPOSITORY
from models.projects.api_key import SCOPES
from models.projects.project import Role
from tests.support.fixtures import parts, site

__all__ = ["parts", "site"]

SQLMODEL_PREFERS_EXEC = r"ignore:\s*.*You probably want to use .session.exec:DeprecationWarning"
"""`exec` takes neither every statement nor text; SQLAlchemy's own `execute` is what we mean."""


FIRST_TEST_PORT, PORTS_PER_WORKER = 7_000, 2_000
"""Below those that the commands choose from which these tests start."""
SHARED_STACK_DIRECTORY: Final = "tests/integration/stack/"
"""What shares the one running stack."""
FIXTURE_WEIGHTS: Final = {
    "site": 10.0,
    "parts": 10.0,
    "stack": 10.0,
    "handle": 3.0,
    "sandbox": 3.0,
    "forge": 2.0,
}
"""What a test costs that asks for one, roughly, in seconds."""
ITEM_WEIGHT: Final = 0.02


def pytest_configure(config: pytest.Config) -> None:
    """Tests that run beside others choose their ports from a range of their own."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        first = FIRST_TEST_PORT + int(worker.removeprefix("gw")) * PORTS_PER_WORKER
        ports.PORT_RANGE = range(first, first + PORTS_PER_WORKER)
    config.addinivalue_line("filterwarnings", SQLMODEL_PREFERS_EXEC)
    gc.disable()  # until all is imported: it finds nothing in it, and looks for long


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells no types
    """Whole files to one process each, and all that share a stack to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return "stack" if nodeid.startswith(SHARED_STACK_DIRECTORY) else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileScheduling:
    return FileScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files, the most expensive first; the order within a file stays."""
    weights: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        fixtures: list[str] = getattr(item, "fixturenames", [])
        weights[item.path] += max((FIXTURE_WEIGHTS.get(name, 0) for name in fixtures), default=0)
        weights[item.path] += ITEM_WEIGHT
    items.sort(key=lambda item: (-weights[item.path], str(item.path)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@dataclass(frozen=True)
class ProjectKey:
    """A project with one member and one key."""

    __test__ = False
    id: str
    member_id: str
    key_id: str
    key: str
    """The key's secret; it has every scope."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the servers' data and logs."""
    directory = tmp_path_factory.mktemp("servers")
    (directory / "logs").mkdir()
    return directory


@pytest.fixture(scope="session")
async def postgres(servers: Path) -> AsyncIterator[Postgres]:
    """A PostgreSQL server with a migrated database."""
    server = Postgres(servers / "postgres", free_ports(1)[0], servers / "logs" / "postgres.log")
    await server.start()
    try:
        await asyncio.to_thread(upgrade, server.url)
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def temporal(servers: Path) -> AsyncIterator[Temporal]:
    """Temporal's dev server, as `codecourier up` starts it."""
    port, ui_port = free_ports(2)
    server = Temporal(servers / "temporal", port, ui_port, servers / "logs" / "temporal.log")
    identity = await server.start()
    try:
        yield server
    finally:
        await identity.stop()


@pytest.fixture(scope="session")
def settings(postgres: Postgres, temporal: Temporal) -> Settings:
    """Settings of the API and the worker for the servers of this session."""
    return Settings(
        database_url=PostgresDsn(postgres.url),
        encryption_keys=SecretStr(Fernet.generate_key().decode()),
        temporal_address=temporal.address,
        temporal_namespace=NAMESPACE,
        github_write_spacing_seconds=0,
    )


@pytest.fixture(scope="session")
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.sqlalchemy_url, role=DatabaseRole.worker)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def engine(settings: Settings) -> Client:
    """A client of the Temporal server."""
    return await connect(settings)


async def make_project(
    database: Database, *, scopes: list[str] | None = None, repository: str | None = EVERY_REPOSITORY
) -> ProjectKey:
    """A new project whose key has the scopes, all of them unless given; nothing is learned from its runs.

    repository: what is allowed to it; None for nothing.
    """
    project = Project(
        name="Test", slug=new_id("slug").replace("_", "-"), learning_config={"isEnabled": False}
    )
    member = Member(project_id=project.id, email="dev@example.com", name="Dev", role=Role.owner)
    key, secret = ApiKey.generate(
        project_id=project.id, member_id=member.id, name="test", scopes=scopes or [*SCOPES]
    )
    async with database.transaction() as session:
        for row in (project, member, key):
            session.add(row)
            await session.flush()
        if repository is not None:
            session.add(AllowedRepository(project_id=project.id, pattern=repository))
    return ProjectKey(project.id, member.id, key.id, secret)


@pytest.fixture
async def project(database: Database) -> ProjectKey:
    return await make_project(database)
