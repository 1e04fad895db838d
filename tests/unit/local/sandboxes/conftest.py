"""One sandbox server for these tests, an HTTP server its sandboxes may reach, and one they may not."""

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from e2b import AsyncSandbox

from local.stack.ports import LOOPBACK
from tests.support.sandbox_server import SandboxServer, run_sandbox_server


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="session")
def forge_like() -> Iterator[int]:
    """The port of an HTTP server that sandboxes may reach."""
    yield from _listening()


@pytest.fixture(scope="session")
def private_service() -> Iterator[int]:
    """The port of an HTTP server that sandboxes must not reach, as PostgreSQL's or Temporal's."""
    yield from _listening()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, forge_like: int) -> Iterator[SandboxServer]:
    with run_sandbox_server(tmp_path_factory.mktemp("sandboxes"), forge_like) as server:
        yield server


@pytest.fixture
async def sandbox(server: SandboxServer) -> AsyncIterator[AsyncSandbox]:
    sandbox = await AsyncSandbox.create("base", timeout=120, **server.options)
    yield sandbox
    await sandbox.kill()


def _listening() -> Iterator[int]:
    with ThreadingHTTPServer((LOOPBACK, 0), Hello) as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield service.server_address[1]
        service.shutdown()
        thread.join()
