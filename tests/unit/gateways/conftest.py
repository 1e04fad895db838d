"""A forge and a sandbox server of their own processes, started once and only when a test asks for them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from gateways.git.cache import CloneCache
from gateways.git.process import Git
from gateways.sandboxes.control import SandboxHandle, SandboxProvider
from kit.database import Database
from local.stack.ports import free_ports
from local.stack.postgres import Postgres
from models.provider_rate_limit import Pacing
from tests.support.sandbox_faults import SandboxFaults
from tests.support.servers import E2B_API_KEY, ServedDirectory, forge_and_sandboxes


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedDirectory, ServedDirectory]]:
    with forge_and_sandboxes(tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest.fixture(scope="session")
def forge(servers: tuple[ServedDirectory, ServedDirectory]) -> ServedDirectory:
    return servers[0]


@pytest.fixture(scope="session")
def sandboxes(servers: tuple[ServedDirectory, ServedDirectory]) -> SandboxProvider:
    url = servers[1].url
    return SandboxProvider(E2B_API_KEY, api_url=url, sandbox_url=url, owner="tests")


@pytest.fixture(scope="session")
def faults(servers: tuple[ServedDirectory, ServedDirectory]) -> SandboxFaults:
    return SandboxFaults(servers[1].url, E2B_API_KEY)


@pytest.fixture(scope="session")
def cache() -> Iterator[CloneCache]:
    """A cache for git that its own user can enter, as pytest's directories may not be."""
    with TemporaryDirectory(prefix="codecourier-git-") as directory:
        Path(directory).chmod(0o711)
        yield CloneCache(Git(), Path(directory) / "cache", 1_000_000_000)


@pytest.fixture
def marker() -> dict[str, str]:
    return {"test": uuid4().hex}


@pytest.fixture(scope="session")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """A PostgreSQL of its own with the one table that gateways use."""
    directory = tmp_path_factory.mktemp("postgres")
    server = Postgres(directory, free_ports(1)[0], directory / "log")
    await server.start()
    database = Database(server.url.replace("postgresql://", "postgresql+psycopg://"), role=None)
    async with database.engine.begin() as connection:
        await connection.run_sync(Pacing.metadata.create_all, tables=[Pacing.metadata.tables["pacing"]])
    yield database
    await database.close()
    await server.stop()


@pytest.fixture
async def handle(sandboxes: SandboxProvider, marker: dict[str, str]) -> AsyncIterator[SandboxHandle]:
    """A sandbox of the test's own."""
    yield await sandboxes.ensure(marker, template="base", timeout_seconds=300)
    await sandboxes.kill_all(marker)
