"""What a run costs by itself, against a bare Temporal workflow of as many activities on the same server.

    python -m tests.bench.bench_runs [--check]

A run of one step: ten turns with a tool call each, and one that finishes.  Its overhead is its wall time less
the time that its activities spent inside model, sandbox, git and GitHub calls, which they measure and log
themselves.  `--check` fails above the agreed ratios.

The bare activities do nothing.  For a run alone, the same is told of bare ones that wait as long as the run's
did outside, less that wait: on some machines an engine that was left alone for a moment answers more slowly
than one that is kept busy, and that is not the run's own.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from temporalio.client import Client
from temporalio.worker import Worker

from local.stack.state import StackFile
from tests.bench.bare_workflow import WAITED, WAITS, Bare, nothing
from tests.support.checkout import ROOT

SCENARIOS = Path(__file__).parent / "scenarios"
WARMING, ALONE, AT_ONCE = 3, 21, 50
"""Runs before anything is measured, runs one by one, and runs together."""
RATIOS = {"alone": 1.5, "at once": 2.5}
BARE_QUEUE = "bench-bare"


@dataclass(frozen=True)
class Measured:
    """Seconds of one run."""

    wall: float
    outside: float
    waits: list[float]
    """Of its outside seconds, those of each regular activity."""
    first_turn: float

    @property
    def overhead(self) -> float:
        return self.wall - self.outside

    @property
    def activities(self) -> int:
        return len(self.waits)


async def bare(client: Client, activities: int, at_once: int) -> list[float]:
    """Wall seconds of each bare workflow, started together."""

    async def one(number: int) -> float:
        started = time.perf_counter()
        name = f"bare-{time.time_ns()}-{number}"
        await client.execute_workflow(Bare.run, activities, id=name, task_queue=BARE_QUEUE)
        return time.perf_counter() - started

    return list(await asyncio.gather(*(one(number) for number in range(at_once))))


async def patient(client: Client, waits: list[float]) -> float:
    """Wall seconds of one bare workflow whose activities wait, less their waits."""
    WAITS.extend(waits)
    WAITED.clear()
    [wall] = await bare(client, len(waits), 1)
    return wall - sum(WAITED)


class Bench:
    def __init__(self, client: Client, log: Path, http: httpx.AsyncClient) -> None:
        self.client, self.log, self.http = client, log, http

    async def blueprint(self) -> str:
        body = {"name": "Bench", "pipelineSteps": [{"role": "designer", "label": "Work"}]}
        return str((await self._post("/workflows/create", body))["id"])

    async def runs(self, blueprint: str, at_once: int) -> list[Measured]:
        ids = await asyncio.gather(*(self._start(blueprint, number) for number in range(at_once)))
        rows = await asyncio.gather(*(self._finished(run) for run in ids))
        await asyncio.sleep(1)  # the last lines of the log
        return [self._measured(row) for row in rows]

    async def _start(self, blueprint: str, number: int) -> str:
        body = {
            "workflowId": blueprint,
            "prompt": f"Bench {number}",
            "githubRepoUrl": "https://github.com/org/repo",
        }
        return str((await self._post("/runs/start", body))["id"])

    async def _post(self, path: str, body: Mapping[str, object]) -> dict[str, object]:
        answer = await self.http.post(path, json=body)
        answer.raise_for_status()
        data = answer.json()["data"]
        assert isinstance(data, dict)
        return data

    async def _finished(self, run_id: str) -> dict[str, object]:
        """The row of a run that has ended, awaited as the bare workflow is."""
        await self.client.get_workflow_handle(run_id).result()
        row = (await self.http.get("/runs/get", params={"id": run_id})).json()["data"]
        assert row["status"] == "completed", row["error"]
        return dict(row)

    def _measured(self, row: dict[str, object]) -> Measured:
        lines = [
            line
            for line in map(_parsed, self.log.read_text().splitlines())
            if line.get("run_id") == row["id"]
        ]
        own = [line for line in lines if line["event"] == "activity"]
        created, completed = _moment(row["createdAt"]), _moment(row["completedAt"])
        turns = [line for line in own if line["activity"] == "model_turn"]
        return Measured(
            wall=completed - created,
            outside=_outside(own),
            waits=[line["outside_milliseconds"] / 1000 for line in own if not line["is_local"]],
            first_turn=min(_moment(line["timestamp"]) - line["milliseconds"] / 1000 for line in turns)
            - created,
        )


def _parsed(line: str) -> dict[str, Any]:
    return dict(json.loads(line)) if line.startswith("{") else {}


def _outside(lines: list[dict[str, Any]]) -> float:
    """Seconds that activities spent outside; of those at work at the same time, the longest counts."""
    total = counted = until = 0.0
    for line in sorted(lines, key=_began):
        seconds = float(line["outside_milliseconds"]) / 1000
        counted = counted if _began(line) < until else 0.0
        total += max(0.0, seconds - counted)
        counted, until = max(counted, seconds), max(until, _moment(line["timestamp"]))
    return total


def _began(line: dict[str, Any]) -> float:
    return _moment(line["timestamp"]) - float(line["milliseconds"]) / 1000


def _moment(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


def _megabytes(pid: int | None) -> float:
    assert pid is not None
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1e6


async def measure(directory: Path) -> dict[str, float]:
    """Print what was measured on a running stack; the ratios by name."""
    stack = StackFile.read(directory)
    assert stack is not None
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    ratios: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=f"{stack.api_url}/api/v1", headers=headers, timeout=60) as http:
        client = await Client.connect(stack.temporal_address)
        bench = Bench(client, directory / "logs" / "worker.log", http)
        async with Worker(client, task_queue=BARE_QUEUE, workflows=[Bare], activities=[nothing]):
            blueprint = await bench.blueprint()
            for _ in range(WARMING):
                await bench.runs(blueprint, 1)
            alone, waiting, busy = [], [], []
            for _ in range(ALONE):  # in turns, as a machine may be slower a minute later
                alone += await bench.runs(blueprint, 1)
                waiting.append(await patient(client, alone[-1].waits))
                busy += await bare(client, alone[0].activities, 1)
            ratios["alone"] = _say("alone", alone, busy)
            print(f"alone: {_against('wait as long', alone, waiting)}")
            count, crowd = alone[0].activities, await bench.runs(blueprint, AT_ONCE)
            together = await bare(client, count, AT_ONCE)
            ratios["at once"] = _say(f"{AT_ONCE} at once", crowd, together)
    for part in ("worker", "api"):
        print(f"memory of the {part}: {_megabytes(stack.pids[part]):.0f} MB")
    return ratios


def _say(name: str, runs: list[Measured], bare: list[float]) -> float:
    """Print medians; the ratio of a run's own overhead to that of bare activities that do nothing."""
    wall, first = (
        statistics.median(run.wall for run in runs),
        statistics.median(run.first_turn for run in runs),
    )
    print(f"{name}: a run took {wall:.2f} s, {_overhead(runs) * 1000:.0f} ms of it its own overhead")
    print(f"{name}: {_against('do nothing', runs, bare)}")
    print(f"{name}: the first model turn began after {first * 1000:.0f} ms")
    return _overhead(runs) / statistics.median(bare)


def _against(which: str, runs: list[Measured], bare: list[float]) -> str:
    baseline = statistics.median(bare)
    count, ratio = runs[0].activities, _overhead(runs) / baseline
    return f"that of {count} bare activities that {which} was {baseline * 1000:.0f} ms, ratio {ratio:.2f}"


def _overhead(runs: list[Measured]) -> float:
    return statistics.median(run.overhead for run in runs)


def codecourier(*words: str, checkout: Path = ROOT) -> None:
    """The command of a checkout."""
    subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        codecourier("up", "--detach", "--data", made, "--scenarios", str(SCENARIOS))
        try:
            ratios = asyncio.run(measure(Path(made)))
        finally:
            codecourier("down", "--data", made)
    over = {name: ratio for name, ratio in ratios.items() if ratio > RATIOS[name]}
    if over and "--check" in sys.argv:
        sys.exit(f"above the agreed ratio: {over}")
    sys.stdout.flush()
    os._exit(0)  # a process that used Temporal's client can crash when the interpreter ends


if __name__ == "__main__":
    main()
