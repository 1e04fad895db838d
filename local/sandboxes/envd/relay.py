"""Loopback ports of the sandbox that lead to the egress outside: the only network there is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

CHUNK_BYTES = 1 << 16
HEAD_LIMIT = 1 << 16
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def open_relays(socket_path: str, ports: list[int]) -> dict[str, str]:
    """Listen on each port, and for the HTTP proxy on a free one; returns the variables that name it.

    Where a sandbox reaches nothing the proxy is there, too: it says so, and what was asked for is counted.
    """
    for port in ports:
        await asyncio.start_server(_relay(socket_path, port), "127.0.0.1", port)
    server = await asyncio.start_server(_relay(socket_path, None), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    direct = "127.0.0.1,localhost"
    names = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "NO_PROXY": direct}
    return names | {name.lower(): value for name, value in names.items()}


def _relay(socket_path: str, port: int | None) -> Handler:
    """A handler that joins a connection to the egress, asking it first for that port of the host if given."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with closing(writer):
            outer_reader, outer_writer = await asyncio.open_unix_connection(socket_path)
            async with closing(outer_writer):
                if port is not None:
                    outer_writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
                    if await outer_reader.readuntil(b"\r\n\r\n") != CONNECTED:
                        return
                await splice((reader, writer), (outer_reader, outer_writer))

    return handle


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def splice(one: Stream, other: Stream) -> None:
    """Carry bytes both ways until both sides have ended, with the pace of the slower side."""
    await asyncio.gather(_copy(one[0], other[1]), _copy(other[0], one[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@contextlib.asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close the writer at the end, whatever happened; a connection that broke is an ordinary end."""
    try:
        yield
    except (OSError, asyncio.IncompleteReadError):
        writer.transport.abort()
    finally:
        writer.close()
