"""A load generator that costs little: plain sockets, one request at a time on each of 16 connections.

    python tests/bench/load.py PORT PATH KEY SECONDS

prints the answered requests per second; every answer has to be a 200.
"""

import asyncio
import sys
import time
from functools import partial
from typing import cast

import uvloop

CONNECTIONS = 16


class Client(asyncio.Protocol):
    """Sends the request again as soon as it was answered."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.request, self.until, self.done = request, until, done
        self.answered, self.missing = 0, 0
        self.head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.missing == 0:
            self.head += data
            head, found, body = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self.transport.close()
                self.done.set_exception(RuntimeError(self.head.decode()))
                return
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.missing, self.head = int(length.split(b":")[1]) - len(body), b""
        else:
            self.missing -= len(data)
        if self.missing == 0:
            self.answered += 1
            if time.perf_counter() < self.until:
                self.transport.write(self.request)
            elif not self.done.done():
                self.done.set_result(None)
                self.transport.close()


def _same(client: Client) -> Client:
    return client


async def load(port: int, path: str, key: str, seconds: float) -> float:
    """Answered requests per second."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    clients = [Client(request, began + seconds, loop.create_future()) for _ in range(CONNECTIONS)]
    for client in clients:
        await loop.create_connection(partial(_same, client), "127.0.0.1", port)
    await asyncio.gather(*(client.done for client in clients))
    return sum(client.answered for client in clients) / (time.perf_counter() - began)


if __name__ == "__main__":
    port, path, key, seconds = sys.argv[1:]
    print(uvloop.run(load(int(port), path, key, float(seconds))))
