"""What misuse costs those who mean well: a hundred connections that guess keys, 800 requests never finished.

    python -m tests.bench.bench_misuse [--check]

A client with a valid key asks for a run again and again: alone, and while a hundred connections of another
process guess keys, from the same address and without a pause; they take turns.  `--check` fails when guessing
makes the middle request of the valid key more than a tenth slower, or when a request that was begun is still
open after its time.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop

from api.http.protocol import REQUEST_TIMEOUT_SECONDS
from local.stack.ports import LOOPBACK
from tests.bench.http_client import ask, get
from tests.bench.serving import RUNS, Served, served

GUESSERS: Final = 100
UNFINISHED: Final = 800
ROUNDS: Final = 3
SECONDS: Final = 5.0
MOST_SLOWDOWN: Final = 1.1
SOME_RUN: Final = f"/api/v1/runs/get?id=r_{RUNS // 2:032x}"


async def latencies(api: Served) -> list[float]:
    """Seconds of each request of the valid key, one after the other."""
    reader, writer = await asyncio.open_connection(LOOPBACK, api.port)
    found, until = [], time.monotonic() + SECONDS
    while time.monotonic() < until:
        began = time.monotonic()
        assert await ask(reader, writer, get(SOME_RUN, api.key)) == 200
        found.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    writer.close()
    return found


@asynccontextmanager
async def guessing(api: Served) -> AsyncIterator[None]:
    """Once the first guess was refused; prints how often which status came."""
    command = (sys.executable, "-m", "tests.bench.guess", str(api.port), str(GUESSERS))
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"refused\n"
        yield
    finally:
        process.stdin.close()
        print(f"guesses were answered: {(await process.stdout.read()).decode().strip()}")
        await process.wait()


async def unfinished(api: Served) -> tuple[int, list[float]]:
    """How many half-sent requests are open a moment after their time; what the valid key waited meanwhile."""
    halves = [await asyncio.open_connection(LOOPBACK, api.port) for _ in range(UNFINISHED)]
    for _, writer in halves:
        writer.write(b"POST /api/v1/runs/start HTTP/1.1\r\nHost: bench\r\nX-Half:")
    began = time.monotonic()
    found = await latencies(api)
    await asyncio.sleep(max(0.0, began + REQUEST_TIMEOUT_SECONDS + 2 - time.monotonic()))
    still_open = 0
    for reader, writer in halves:
        try:
            async with asyncio.timeout(0.01):
                still_open += await reader.read(1) != b""
        except TimeoutError:
            still_open += 1
        except ConnectionError:  # cut, and not only closed
            pass
        writer.close()
    return still_open, found


def line(name: str, seconds: list[float]) -> None:
    middle, slow = statistics.median(seconds), sorted(seconds)[int(len(seconds) * 0.95)]
    print(f"{name:44}{middle * 1000:9.2f} ms{slow * 1000:9.2f} ms", flush=True)


async def main(check: bool) -> int:
    alone: list[float] = []
    beside: list[float] = []
    with tempfile.TemporaryDirectory(prefix="misuse-") as directory:
        async with served(Path(directory), RATE_LIMIT_PER_KEY="off") as api:
            await latencies(api)  # connections opened, statements prepared
            for _ in range(ROUNDS):
                alone += await latencies(api)
                async with guessing(api):
                    beside += await latencies(api)
            still_open, half = await unfinished(api)
    print(f"{'a request of a valid key':44}{'median':>12}{'95 of 100':>12}")
    line("alone", alone)
    line(f"beside {GUESSERS} connections that guess keys", beside)
    line(f"beside {UNFINISHED} requests never finished", half)
    print(f"requests never finished that are open after {REQUEST_TIMEOUT_SECONDS:.0f} s: {still_open}")
    slowdown = statistics.median(beside) / statistics.median(alone)
    return int(check and (still_open > 0 or slowdown > MOST_SLOWDOWN))


if __name__ == "__main__":
    sys.exit(uvloop.run(main("--check" in sys.argv)))
