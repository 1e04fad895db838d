"""A forge and a sandbox server of their own processes, started once and only when a test asks for them."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from gateways.sandboxes import Sandboxes, SandboxHandle
from tests.gateways.servers import E2B_API_KEY, Server, forge_and_sandboxes


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    with forge_and_sandboxes(tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest.fixture(scope="session")
def forge(servers: tuple[Server, Server]) -> Server:
    return servers[0]


@pytest.fixture(scope="session")
def sandboxes(servers: tuple[Server, Server]) -> Sandboxes:
    url = servers[1].url
    return Sandboxes(E2B_API_KEY, api_url=url, sandbox_url=url, owner="tests")


@pytest.fixture
def marker() -> dict[str, str]:
    return {"test": uuid4().hex}


@pytest.fixture
async def handle(sandboxes: Sandboxes, marker: dict[str, str]) -> AsyncIterator[SandboxHandle]:
    """A sandbox of the test's own."""
    yield await sandboxes.ensure(marker, template="base", timeout_seconds=300)
    await sandboxes.kill_all(marker)
