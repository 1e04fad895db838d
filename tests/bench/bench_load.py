"""Many at once on one worker, and what a flood of one project does to another one.

    python -m tests.bench.bench_load [--check]

One project starts a flood of runs and, right after it, another project a few: without the engine's
fairness keys, and with them as the product sets them.  Then a hundred runs and twenty chains of two sprints
are started together and all have to complete.  `--check` fails when the keys do not let the quiet project
begin five times sooner.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from sqlmodel import col

from activities.chain_starting import ChainInput, start_chain
from activities.starting import RUN_WORKFLOW, RunInput, attributes_of, start_run
from kit.temporal import TASK_QUEUE
from models import Run, SprintChain
from models.blueprint import BlueprintConfig
from models.chain import ChainStatus
from models.project import Project
from models.run import RunStatus
from tests.runs import test_sprint_chains as chains
from tests.runs.parts import running
from tests.runs.scenarios import bash, finish, scripted
from tests.runs.site import Site, opened

RUNS, CHAINS, SPRINTS = 100, 20, 2
FLOOD, FEW = 300, 10
LEAST_GAIN = 5.0
WORK = scripted("load", bash("true"), finish("Did it."))
PLAIN = BlueprintConfig(create_pr=False)


async def many(site: Site, worker: psutil.Process) -> None:
    """Print how long it took, how much memory the worker needed, and the runs' own latency."""
    began = time.monotonic()
    project, slug = await site.project(), await site.repository()
    runs = await asyncio.gather(*(_accept(site, project, slug) for _ in range(RUNS)))
    lines = await asyncio.gather(*(chains.a_chain(site, SPRINTS) for _ in range(CHAINS)))
    await asyncio.gather(
        *(start_run(site.client, RunInput.of(run)) for run in runs),
        *(start_chain(site.client, ChainInput.of(chain)) for chain in lines),
    )
    peak = 0.0
    while unfinished := await _unfinished(site):
        peak = max(peak, worker.memory_info().rss / 1e6)
        if sys.stdout.isatty():
            print(f"\r{unfinished} unfinished, {peak:.0f} MB   ", end="", flush=True)
        await asyncio.sleep(1)
    ended = await site.rows(Run, col(Run.id).is_not(None), col(Run.id))
    assert all(run.status is RunStatus.completed for run in ended), "a run did not complete"
    assert len(ended) == RUNS + CHAINS * SPRINTS
    walls = sorted((run.completed_at - run.created_at).total_seconds() for run in ended if run.completed_at)
    took, slow = time.monotonic() - began, walls[int(len(walls) * 0.95)]
    print(f"{RUNS} runs and {CHAINS} chains of {SPRINTS} sprints at once: all completed in {took:.0f} s")
    print(f"a run took {statistics.median(walls):.1f} s (median), {slow:.1f} s (95 of 100)")
    print(f"memory of the worker: at most {peak:.0f} MB")


async def quiet_beside_a_flood(site: Site, *, fair: bool) -> float:
    """Median seconds until the engine began with a run of the quiet project."""
    flooding, quiet, slug = await site.project(), await site.project(), await site.repository()
    flood = await asyncio.gather(*(_accept(site, flooding, slug) for _ in range(FLOOD)))
    few = await asyncio.gather(*(_accept(site, quiet, slug) for _ in range(FEW)))
    await asyncio.gather(*(_start(site, run, fair=fair) for run in flood))
    began = time.time()
    await asyncio.gather(*(_start(site, run, fair=fair) for run in few))
    while not all(run.started_at for run in await _read(site, quiet)):
        await asyncio.sleep(0.2)
    delays = [run.started_at.timestamp() - began for run in await _read(site, quiet) if run.started_at]
    return statistics.median(delays)


async def _accept(site: Site, project: Project, slug: str) -> Run:
    return await site.accept(f"Load {WORK}", project=project, repository=slug, config=PLAIN)


async def _start(site: Site, run: Run, *, fair: bool) -> None:
    told = RunInput.of(run)
    if fair:
        await start_run(site.client, told)
    else:
        await site.client.start_workflow(
            RUN_WORKFLOW, told, id=told.run_id, task_queue=TASK_QUEUE, search_attributes=attributes_of(told)
        )


async def _read(site: Site, project: Project) -> list[Run]:
    return await site.rows(Run, col(Run.project_id) == project.id, col(Run.id))


async def _unfinished(site: Site) -> int:
    runs = await site.rows(Run, col(Run.completed_at).is_(None), col(Run.id))
    at_work = col(SprintChain.status).in_([ChainStatus.pending, ChainStatus.running])
    return len(runs) + len(await site.rows(SprintChain, at_work, col(SprintChain.id)))


async def measure(directory: Path) -> float:
    """Print what was measured; how many times sooner the quiet project begins with the keys."""
    delays = {}
    async with running(directory / "parts") as parts:
        for fair, name in ((False, "unfair"), (True, "fair")):  # a site each: the flood ends with its worker
            async with opened(parts, name, directory / name) as site:
                await site.start_worker()
                delays[fair] = await quiet_beside_a_flood(site, fair=fair)
        _say_gain(delays)
        async with opened(parts, "load", directory / "load") as site:
            await many(site, psutil.Process((await site.start_worker()).pid))
    return delays[False] / delays[True]


def _say_gain(delays: dict[bool, float]) -> None:
    without, with_keys = delays[False], delays[True]
    print(f"behind a flood of {FLOOD} runs, one of {FEW} of another project began after (median)")
    print(f"{without:.2f} s without fairness keys, {with_keys:.2f} s with them", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        gain = asyncio.run(measure(Path(made)))
    if gain < LEAST_GAIN and "--check" in sys.argv:
        sys.exit(f"below the agreed gain: {gain:.1f} of {LEAST_GAIN}")
    sys.stdout.flush()
    os._exit(0)  # a process that used Temporal's client can crash when the interpreter ends


if __name__ == "__main__":
    main()
