"""A thousand viewers of a hundred runs: how late they see what happens.

    python -m tests.bench.bench_viewers [--check] [--viewers=1000]

Viewers follow the events of a run as server-sent events, ten of them each, from one API process. Twenty
events a second are committed; the lag is the time from a commit to the viewer's having the event. `--check`
fails when one in a hundred is a second late, or any is missing.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psycopg
import uvloop

from local.stack.ports import LOOPBACK
from tests.bench.http_client import get
from tests.bench.serving import Served, served

VIEWERS: Final = 1_000
WATCHED: Final = 100
SECONDS: Final = 20
EVENTS_A_SECOND: Final = 20
SETTLING_SECONDS: Final = 5.0
MOST_SECONDS: Final = 1.0
AT_WORK: Final = (
    "UPDATE run SET status = 'running', completed_at = NULL, event_seq = 0 WHERE run_number <= %s"
)
INSERT_EVENT: Final = """
    WITH happening AS (
        UPDATE run SET event_seq = event_seq + 1 WHERE id = %(run)s RETURNING id, project_id, event_seq
    )
    INSERT INTO event (id, project_id, subject_id, seq, type, data, created_at)
    SELECT %(id)s, project_id, id, event_seq, 'turn.completed', '{"text": "Looked around."}', now()
    FROM happening
"""


class Viewer:
    """One connection; when it had which event."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}

    async def watch(self, api: Served, run: str) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, api.port)
        writer.write(get(f"/api/v1/runs/{run}/events", api.key))
        try:
            assert b" 200 " in await reader.readline()
            async for line in reader:
                if line.startswith(b"id: "):
                    self.seen[f"{run}:{int(line[4:])}"] = time.monotonic()
        finally:
            writer.close()


def run_id(number: int) -> str:
    return f"r_{number:032x}"


async def write(api: Served) -> dict[str, float]:
    """Commit events, evenly; when each was committed."""
    committed: dict[str, float] = {}
    async with await psycopg.AsyncConnection.connect(api.database_url, autocommit=True) as connection:
        begun = time.monotonic()
        for number in range(SECONDS * EVENTS_A_SECOND):
            await asyncio.sleep(max(0.0, begun + number / EVENTS_A_SECOND - time.monotonic()))
            run, seq = run_id(number % WATCHED + 1), number // WATCHED + 1
            await connection.execute(INSERT_EVENT, {"run": run, "id": f"evt_{number:032x}"})
            committed[f"{run}:{seq}"] = time.monotonic()
    return committed


async def main(check: bool, count: int) -> int:
    with tempfile.TemporaryDirectory(prefix="viewers-") as directory:
        async with served(Path(directory), STREAMS_PER_PROJECT="off", RATE_LIMIT_PER_KEY="off") as api:
            with psycopg.connect(api.database_url, autocommit=True) as connection:
                connection.execute(AT_WORK, [WATCHED])
            viewers = [Viewer() for _ in range(count)]
            watching = [
                asyncio.create_task(viewer.watch(api, run_id(place % WATCHED + 1)))
                for place, viewer in enumerate(viewers)
            ]
            await asyncio.sleep(SETTLING_SECONDS)
            committed = await write(api)
            await asyncio.sleep(SETTLING_SECONDS)
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
    lags = sorted(at - committed[name] for viewer in viewers for name, at in viewer.seen.items())
    missing = len(committed) * count // WATCHED - len(lags)
    middle, slow = lags[len(lags) // 2], lags[int(len(lags) * 0.99)]
    print(f"{count:,} viewers, {len(lags):,} events seen, {missing} missing")
    print(f"lag: {middle:.3f} s (median), {slow:.3f} s (99 of 100), {lags[-1]:.3f} s (longest)")
    return int(check and (missing > 0 or slow > MOST_SECONDS))


if __name__ == "__main__":
    given = next((int(each.split("=")[1]) for each in sys.argv if each.startswith("--viewers=")), VIEWERS)
    sys.exit(uvloop.run(main("--check" in sys.argv, given)))
