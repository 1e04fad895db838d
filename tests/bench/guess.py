"""Connections that guess keys without a pause, as a process of their own.

    python -m tests.bench.guess PORT CONNECTIONS

prints `refused` when the first guess is refused with 429, and, once its standard input is closed, how often
which status came, as JSON.
"""

import asyncio
import json
import sys
from collections import Counter

import uvloop

from tests.bench.http_client import ask, get


async def guess(port: int, connections: int) -> Counter[int]:
    statuses = Counter[int]()

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for attempt in range(sys.maxsize):
                status = await ask(
                    reader, writer, get("/api/v1/whoami", f"cc_live_{number:03d}{attempt:040d}")
                )
                if status == 429 and not statuses[429]:
                    print("refused", flush=True)
                statuses[status] += 1
        finally:
            writer.close()

    async with asyncio.TaskGroup() as group:
        guessing = [group.create_task(one(number)) for number in range(connections)]
        await asyncio.to_thread(sys.stdin.read)
        for task in guessing:
            task.cancel()
    return statuses


if __name__ == "__main__":
    print(json.dumps(uvloop.run(guess(int(sys.argv[1]), int(sys.argv[2])))))
