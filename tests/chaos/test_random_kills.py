"""Every orchestration at once, its worker killed with -9 at twenty random moments: all end as unkilled."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from sqlmodel import col
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError

from activities.schedules.temporal_schedule import sync_temporal_schedule
from models import Event, MergeJob, Notification, Run, Sandbox
from models.chains.chain import ChainStatus
from models.issues.answering_session import AnsweringStatus
from models.runs.run import PrStatus, RunStatus
from tests.integration.chains import test_sprint_chains as sprints
from tests.integration.chains import test_work_chains as works
from tests.integration.issues import test_answering_sessions as answers
from tests.integration.issues import test_issue_sessions as scans
from tests.integration.merging import test_combined_merge as several
from tests.integration.merging.test_pull_request_ci import is_merged
from tests.integration.schedules import test_recurring_tasks
from tests.support import chains, pull_requests
from tests.support.github import ApiServer, serving_api
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

KILLS = 20
BETWEEN = (0.5, 5.0)
"""Seconds between two kills; a worker is ready in about half a second."""
AWAY = (TimeoutError, RPCError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError)
"""What a client meets while no worker is there."""
pytestmark = pytest.mark.soak


@pytest.fixture
def chance(capsys: pytest.CaptureFixture[str]) -> random.Random:
    """Random as the moments are; the seed that is printed makes the same ones again."""
    seed = random.SystemRandom().randrange(10**9)
    with capsys.disabled():
        print(f"\nrandom kills with seed {seed}")
    return random.Random(seed)


async def kill(site: Installation, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(*BETWEEN))
        await site.workers[-1].stop(patience=0.0)
        await site.start_worker()


async def scan_and_answers(site: Installation) -> None:
    scan = await scans.start(site, await scans.a_scan(site, answers.ASK))
    row = await answers.answering(site, scan)
    await answers.reaches(site, row, AnsweringStatus.active, patience=TEST_TIMEOUT_SECONDS)
    for question, status, correction in zip(
        await answers.questions_of(site, row), ("declined", "approved"), ("No, in a cookie.", ""), strict=True
    ):
        while True:  # as clients do, who are told that the engine is away
            try:
                async with asyncio.timeout(5):
                    await answers.review(site, question, status, correction)
                    break
            except AWAY:
                await asyncio.sleep(0.5)
    await answers.reaches(
        site, row, AnsweringStatus.completed, AnsweringStatus.failed, patience=TEST_TIMEOUT_SECONDS
    )
    await answers.holds(site, row)


async def scan(site: Installation) -> None:
    row = await scans.start(site, await scans.a_scan(site, scans.SCAN))
    await scans.ended(site, row, TEST_TIMEOUT_SECONDS)
    await scans.holds(site, row)


async def work_chain(site: Installation) -> None:
    chain = await chains.start(site, await works.a_chain(site, works.WORKED, works.SLOWLY))
    await chains.wait_for_status(
        site, chain, ChainStatus.completed, ChainStatus.failed, patience=TEST_TIMEOUT_SECONDS
    )
    await works.holds(site, chain)


async def sprint_chain(site: Installation) -> None:
    chain = await chains.start(site, await sprints.a_chain(site, 2, sprints.SLOW))
    await chains.wait_for_status(
        site, chain, ChainStatus.completed, ChainStatus.failed, patience=TEST_TIMEOUT_SECONDS
    )
    await sprints.holds(site, chain, 2)


async def recurring_task(site: Installation) -> None:
    task = await test_recurring_tasks.a_task(site)
    await sync_temporal_schedule(site.database, site.client, task.id)
    await site.client.get_schedule_handle(task.id).trigger()

    async def has_fired() -> bool:
        return await test_recurring_tasks.runs_of(site, task) != []

    await wait_until(has_fired, "the schedule fires", TEST_TIMEOUT_SECONDS)
    [run] = await test_recurring_tasks.runs_of(site, task)
    ended = await site.ended(run, TEST_TIMEOUT_SECONDS)
    assert (ended.status, ended.pr_status) == (RunStatus.completed, PrStatus.created)


async def merge_of_six(site: Installation) -> None:
    pulls = await several.six(site)
    job = await pulls.merge(1, 2, 3, 4, 5, 6, check_command=several.NOT_BOTH)
    await several.start(pulls, job)
    await several.ended(pulls, job, TEST_TIMEOUT_SECONDS)
    await several.holds(pulls, job)


async def merge_with_ci(site: Installation, api: ApiServer) -> None:
    pull = await pull_requests.make_pull_request(site, api)
    check = await pull.github.begin_check(pull.sha)
    job_id = await pull.merge()

    async def is_blocked() -> bool:
        [job] = await site.rows(MergeJob, col(MergeJob.id) == job_id, col(MergeJob.id))
        return job.waiting is not None

    await wait_until(is_blocked, "the merge waits for CI", TEST_TIMEOUT_SECONDS)
    await pull.github.end_check(check)
    await is_merged(pull, job_id, TEST_TIMEOUT_SECONDS)


async def again_and_again(
    play: Callable[[Installation], Awaitable[None]], site: Installation, killing: asyncio.Task[None]
) -> None:
    """So that each of them is at work at every one of the twenty moments."""
    await play(site)
    while not killing.done():
        await play(site)


async def test_every_orchestration_survives(parts: Servers, tmp_path: Path, chance: random.Random) -> None:
    async with open_installation(parts, "random-kills", tmp_path / "site") as site, serving_api(site) as api:
        await site.start_worker()
        killing = asyncio.create_task(kill(site, chance))
        plays: list[Callable[[Installation], Awaitable[None]]] = [
            scan_and_answers,
            scan,
            work_chain,
            sprint_chain,
            recurring_task,
            merge_of_six,
            partial(merge_with_ci, api=api),
        ]
        await asyncio.gather(*(again_and_again(play, site, killing) for play in plays))
        await killing
        await assert_nothing_is_left_or_notified_twice(site)


async def assert_nothing_is_left_or_notified_twice(site: Installation) -> None:
    boxes = await site.rows(Sandbox, col(Sandbox.killed_at).is_(None), col(Sandbox.id))
    assert boxes == []
    told = await site.rows(Notification, col(Notification.id).is_not(None), col(Notification.id))
    once = [(each.event_id, each.member_id, each.type) for each in told]
    assert len(once) == len(set(once))
    for run in await site.rows(Run, col(Run.id).is_not(None), col(Run.id)):
        events = await site.rows(Event, col(Event.subject_id) == run.id, col(Event.seq))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        ends = [
            event.type for event in events if event.type in ("run.completed", "run.failed", "run.cancelled")
        ]
        assert len(ends) <= 1
        created = [event.type for event in events].count("pr.created")
        assert created <= 1
