"""Ten thousand jobs that wait for people, on one worker: what they cost, and how soon one of them hears.

    python -m tests.bench.bench_waiting [--check] [--jobs=10000]

Half of them are runs that are paused in their project's queue, half are paused chains, and a hundred are
answering sessions whose questions wait for reviews. When all of them wait, the worker's memory and processor
are looked at for a minute, and jobs are sent commands one by one: a chain goes on (into the queue), a run is
stopped, a question is reviewed. `--check` fails above a gibibyte, or when one of a hundred takes a second.
"""

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from sqlalchemy import func, select
from sqlmodel import col

from activities.jobs.launch import ChainInput, build_chain_start, start_row, start_workflow
from models import AnsweringSession, Event, Project, Run, SprintChain
from models.event import EventType
from models.issues.answering_session import AnsweringStatus
from models.jobs.job_registry import JOB_KINDS
from tests.integration.issues import test_answering_sessions as answering
from tests.support.installation import Installation, open_installation
from tests.support.stack import run_servers

JOBS: Final = 10_000
SESSIONS = SAMPLES = 100
AT_ONCE: Final = 50
"""Starts that are under way together."""
IDLE_SECONDS: Final = 60
MOST_MEBIBYTES, MOST_SECONDS = 1024.0, 1.0
SPRINT_CHAIN: Final = JOB_KINDS["sc"]


async def run_bounded(works: Sequence[Coroutine[object, object, None]], name: str) -> None:
    """Do them, so many at a time, and say how far it is."""
    room, begun, done = asyncio.Semaphore(AT_ONCE), time.monotonic(), 0

    async def do(work: Coroutine[object, object, None]) -> None:
        nonlocal done
        async with room:
            await work
        done += 1
        if done % 500 == 0 or done == len(works):
            print(f"{done:7,} {name} after {time.monotonic() - begun:4.0f} s", flush=True)

    await asyncio.gather(*(do(work) for work in works))


async def paused_runs(site: Installation, project: Project, slug: str, count: int) -> list[Run]:
    """Queued, as nothing of their project may begin, and paused by a person."""
    runs: list[Run] = []

    async def make() -> None:
        run = await site.accept("Wait", project=project, repository=slug)
        await start_row(site.client, run)
        await site.command(run, "pause")
        runs.append(run)

    await run_bounded([make() for _ in range(count)], "paused runs")
    return runs


async def paused_chains(site: Installation, project: Project, slug: str, count: int) -> list[SprintChain]:
    blueprint = site.blueprint(project.id)
    await site.add(blueprint)
    rows = [
        SprintChain(
            project_id=project.id,
            workflow_id=blueprint.id,
            github_repo_url=f"{site.settings.github_url}/{slug}",
            prompt="Part {{sprint}}",
            repository_slug=slug,
            sprint_start=1,
            sprint_end=2,
        )
        for _ in range(count)
    ]
    await site.add(*rows)

    async def start(row: SprintChain) -> None:
        await start_workflow(site.client, build_chain_start(SPRINT_CHAIN, ChainInput.of(row)))
        await site.client.get_workflow_handle(row.temporal_workflow_id).execute_update("pause")

    await run_bounded([start(row) for row in rows], "paused chains")
    return rows


async def open_reviews(site: Installation, project: Project, count: int) -> list[AnsweringSession]:
    """Sessions that have asked."""
    rows: list[AnsweringSession] = []

    async def ask() -> None:
        row = await answering.a_session(site, project=project)
        rows.append(await answering.reaches(site, row, AnsweringStatus.active))

    await run_bounded([ask() for _ in range(count)], "answering sessions")
    return rows


async def response_times(
    site: Installation,
    runs: Sequence[Run],
    chains: Sequence[SprintChain],
    sessions: Sequence[AnsweringSession],
) -> list[float]:
    """Seconds until a command to one of the jobs is answered: that it is done, and written down."""
    seconds = []
    questions = [(await answering.questions_of(site, row))[0] for row in sessions]
    handle_of = site.client.get_workflow_handle
    for run, chain, question in zip(
        random.sample(runs, SAMPLES), random.sample(chains, SAMPLES), questions, strict=True
    ):
        for send_command in (
            partial(site.command, run, "graceful_stop"),
            partial(handle_of(chain.temporal_workflow_id).execute_update, "resume"),
            partial(answering.review, site, question, "approved"),
        ):
            begun = time.monotonic()
            await send_command()
            seconds.append(time.monotonic() - begun)
    return seconds


async def measure(site: Installation, jobs: int) -> tuple[float, float]:
    """Print it; the worker's memory (MiB), and the seconds of one in a hundred."""
    worker = psutil.Process((await site.start_worker()).pid)
    slug, project, own = await site.repository(), await site.project(), await site.project()
    sessions = await open_reviews(site, own, SESSIONS)
    async with site.database.transaction() as session:
        (await session.get_one(Project, project.id)).max_concurrent_runs = 0
    runs = await paused_runs(site, project, slug, (jobs - SESSIONS) // 2)
    chains = await paused_chains(site, project, slug, jobs - SESSIONS - len(runs))
    # A chain may have asked for its first run before it was paused: that is queued, as all of the project.
    has_begun = (col(Run.project_id) == project.id) & col(Run.started_at).is_not(None)
    begun = await site.rows(Run, has_begun, col(Run.id))
    assert not begun, "a job was not held"
    async with site.database.transaction() as session:
        statement = select(func.count()).where(col(Event.type) == EventType.run_paused)
        assert await session.scalar(statement) == len(runs)
    memory = worker.memory_info().rss / 2**20
    before = worker.cpu_times()
    await asyncio.sleep(IDLE_SECONDS)
    after = worker.cpu_times()
    idle = (after.user + after.system - before.user - before.system) / IDLE_SECONDS
    seconds = sorted(await response_times(site, runs, chains, sessions))
    memory = max(memory, worker.memory_info().rss / 2**20)
    slow = seconds[int(len(seconds) * 0.99)]
    print(f"\n{len(runs):,} paused runs, {len(chains):,} paused chains, {len(sessions)} reviews; one worker")
    print(f"memory of the worker:            {memory:8.0f} MiB")
    print(f"processor of it while they wait: {idle:8.1%}")
    print(
        f"a command to one of them:        {statistics.median(seconds):8.3f} s (median), {slow:.3f} s (99 %)"
    )
    return memory, slow


async def main(check: bool, jobs: int) -> int:
    with tempfile.TemporaryDirectory(prefix="waiting-") as name:
        directory = Path(name)
        async with (
            run_servers(directory / "parts") as parts,
            open_installation(parts, "waiting", directory / "site") as site,
        ):
            memory, slow = await measure(site, jobs)
    return int(check and (memory > MOST_MEBIBYTES or slow > MOST_SECONDS))


if __name__ == "__main__":
    given = next((int(each.split("=")[1]) for each in sys.argv if each.startswith("--jobs=")), JOBS)
    status = asyncio.run(main("--check" in sys.argv, given))
    sys.stdout.flush()
    os._exit(status)  # a process that used Temporal's client can crash when the interpreter ends
