"""A connection that rested is used again: a server that closes it at that moment resets the next request."""

import asyncio
from http.client import HTTPConnection

import pytest

from local.stack.ports import LOOPBACK
from local.stack.state import State
from tests.support.detached_stack import DetachedStack

HEALTH = {"api": "/readyz", "sandboxes": "/health", "forge": "/health", "model": "/health"}
REST_SECONDS = 6.5
"""More than uvicorn's own 5, which is as long as httpx keeps a connection, and less than others do."""

pytestmark = pytest.mark.stack


async def test_a_connection_outlives_the_pauses_of_clients(stack: DetachedStack) -> None:
    ports = State.read(stack.directory).ports
    connections = {part: HTTPConnection(LOOPBACK, ports[part], timeout=10) for part in HEALTH}
    before = {part: _asked(connections[part], HEALTH[part]) for part in HEALTH}
    await asyncio.sleep(REST_SECONDS)
    assert {part: _asked(connections[part], HEALTH[part]) for part in HEALTH} == before
    for connection in connections.values():
        connection.close()


def _asked(connection: HTTPConnection, path: str) -> tuple[int, object]:
    """The status, and over which end of ours it came: a new connection would have another."""
    connection.request("GET", path)
    with connection.getresponse() as response:
        response.read()
        return response.status, connection.sock.getsockname()
