"""What a run costs: seconds of processor and memory, by part of the embedded stack.

    python -m tests.bench.bench_cost [--against=CHECKOUT]

A run is one step of ten turns with a tool call each, and one turn that finishes; it pushes and opens a pull
request.  A part's processor time is that of its process and of all that it started, as the kernel counts it.
What a sandbox used is forgotten when it is killed, so it is looked at while it lives: what it does within its
last moment is missing.  Memory is the most that the processes of a part held together at one moment, pages
that they share counted once.

With a checkout, the same is measured of its stack, run by run in turns on the same machine.
"""

import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from temporalio.client import Client

from local.stack.state import StackFile
from tests.bench.bench_runs import SCENARIOS, Bench, codecourier
from tests.support.checkout import ROOT

WARMING, ALONE, AT_ONCE = 3, 5, 20
SETTLING_SECONDS = 3.0
"""Until a run's last processes are buried and its leftovers written."""
LOOK_SECONDS = 0.2
INSIDE = "inside sandboxes"
ByPart = dict[str, float]
Sandbox = tuple[int, float]
"""The first process of one: its number, and when it began."""


@dataclass(frozen=True)
class Subject:
    """A stack at work, and a blueprint to run on it."""

    name: str
    bench: Bench
    blueprint: str
    pids: Mapping[str, int]

    def seconds(self) -> ByPart:
        """Of processor, since the stack was started: of each part, and of what it started."""
        spent: ByPart = defaultdict(float)
        for part, pid in self.pids.items():
            process = psutil.Process(pid)
            own = process.cpu_times()
            spent[part] = own.user + own.system
            if part == "sandboxes":
                continue
            spent[f"{part}, its children"] = own.children_user + own.children_system
            for child in process.children(recursive=True):
                spent[f"{part}, its children"] += _whole(child)
        return spent

    async def spent(self, at_once: int) -> ByPart:
        """What so many runs, started together, cost."""
        before, sandboxes = self.seconds(), dict[Sandbox, float]()
        looking = asyncio.create_task(self._look_inside(sandboxes))
        await self.bench.runs(self.blueprint, at_once)
        await asyncio.sleep(SETTLING_SECONDS)
        looking.cancel()
        spent = {name: value - before[name] for name, value in self.seconds().items()}
        return {**spent, INSIDE: sum(sandboxes.values())}

    async def _look_inside(self, sandboxes: dict[Sandbox, float]) -> None:
        """Keep what each sandbox has used since it began, until cancelled."""
        server = psutil.Process(self.pids["sandboxes"])
        while True:
            for child in server.children():
                with suppress(psutil.NoSuchProcess):
                    if child.name() == "bwrap":
                        used = sum(_whole(each) for each in [child, *child.children(recursive=True)])
                        known = child.pid, child.create_time()
                        sandboxes[known] = max(used, sandboxes.get(known, 0.0))
            await asyncio.sleep(LOOK_SECONDS)

    def megabytes(self) -> ByPart:
        return {part: _megabytes(psutil.Process(pid)) for part, pid in self.pids.items()}


def _whole(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # buried a moment ago: its parent has it
    return times.user + times.system + times.children_user + times.children_system


def _megabytes(process: psutil.Process) -> float:
    held = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            held += one.memory_full_info().pss / 1e6
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return held


@asynccontextmanager
async def subject(name: str, checkout: Path) -> AsyncIterator[Subject]:
    """The stack of a checkout, warm."""
    with tempfile.TemporaryDirectory() as made:
        codecourier("up", "--detach", "--data", made, "--scenarios", str(SCENARIOS), checkout=checkout)
        try:
            stack = StackFile.read(Path(made))
            assert stack is not None
            headers = {"Authorization": f"Bearer {stack.api_key}"}
            url = f"{stack.api_url}/api/v1"
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120) as http:
                client = await Client.connect(stack.temporal_address)
                bench = Bench(client, Path(made) / "logs" / "worker.log", http)
                pids = {part: pid for part, pid in stack.pids.items() if pid is not None}
                warm = Subject(name, bench, await bench.blueprint(), pids)
                for _ in range(WARMING):
                    await bench.runs(warm.blueprint, 1)
                yield warm
        finally:
            codecourier("down", "--data", made, checkout=checkout)


async def _most(subject: Subject, found: ByPart) -> None:
    """Keep in `found` what the parts hold when they hold most together, until cancelled."""
    while True:
        held = await asyncio.to_thread(subject.megabytes)
        if sum(held.values()) > sum(found.values()):
            found.update(held)
        await asyncio.sleep(1)


async def measure(checkouts: Mapping[str, Path]) -> None:
    async with AsyncExitStack() as entered:
        subjects = [await entered.enter_async_context(subject(*each)) for each in checkouts.items()]
        alone: dict[str, ByPart] = {each.name: defaultdict(float) for each in subjects}
        for _ in range(ALONE):
            for each in subjects:
                for part, seconds in (await each.spent(1)).items():
                    alone[each.name][part] += seconds / ALONE
        for each in subjects:
            held: ByPart = {}
            looking = asyncio.create_task(_most(each, held))
            crowd = await each.spent(AT_ONCE)
            looking.cancel()
            _say(each.name, alone[each.name], crowd, held)


def _say(name: str, alone: ByPart, crowd: ByPart, held: ByPart) -> None:
    print(f"{name:26}{'a run alone':>12}{f'{AT_ONCE} at once':>12}{'held by them':>14}")
    for part in sorted(crowd, key=lambda part: -alone[part]):
        memory = f"{held[part]:11.0f} MB" if part in held else ""
        if alone[part] >= 0.01 or memory:
            print(f"{part:26}{alone[part]:10.2f} s{crowd[part]:10.1f} s{memory}")
    sums = sum(alone.values()), sum(crowd.values()), sum(held.values())
    print("{:26}{:10.2f} s{:10.1f} s{:11.0f} MB".format("together", *sums), flush=True)


def main() -> None:
    here = ROOT
    against = next((word.split("=", 1)[1] for word in sys.argv if word.startswith("--against=")), None)
    before = {} if against is None else {"before": Path(against).resolve()}
    asyncio.run(measure({**before, "now": here}))
    sys.stdout.flush()
    os._exit(0)  # a process that used Temporal's client can crash when the interpreter ends


if __name__ == "__main__":
    main()
