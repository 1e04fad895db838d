"""A worker killed with -9 at every seam: each run completes, and everything happened once."""

import asyncio
from asyncio import Task
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from models.event import EventType
from models.notifications.notification import NotificationType
from models.runs.run import PrStatus, RunStatus
from models.runs.run_step import StepStatus
from tests.support.installation import Installation, open_installation
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

pytestmark = pytest.mark.soak

COUNTING = register_scenario(
    "counting",
    bash("echo first >> count.txt; sleep 4; wc -l < count.txt"),
    with_delay(bash("echo second >> count.txt"), 4),
    finish("Counted to two."),
)
SEAMS = [
    "sandbox-made",
    "cloned",
    "within-a-turn",
    "answered",
    "within-a-tool-call",
    "called",
    "pushed",
    "pull-request",
    "pull-request-made",
    "kill-sandbox",
    "sandbox-killed",
]
Outcomes = dict[str, Task[RunOutcome]]


@pytest.fixture(scope="module")
async def outcomes(parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outcomes]:
    """One site, one run and one kill for each seam, all at the same time."""
    directory = tmp_path_factory.mktemp("kills")
    async with AsyncExitStack() as stack:
        sites = {
            seam: await stack.enter_async_context(open_installation(parts, seam, directory / seam))
            for seam in SEAMS
        }
        plays = {seam: asyncio.create_task(_play(site, seam)) for seam, site in sites.items()}
        yield plays
        await asyncio.wait(plays.values())


async def _play(site: Installation, seam: str) -> RunOutcome:
    site.set_trap(seam)
    run = await site.start(f"Count {COUNTING}")
    worker = await site.start_worker()
    assert await worker.ended(TEST_TIMEOUT_SECONDS), f"the worker never came to {seam}"
    assert site.is_sprung(seam)
    await site.start_worker()
    return await outcome_of(site, run, TEST_TIMEOUT_SECONDS)


@pytest.mark.parametrize("seam", SEAMS)
async def test_a_run_survives_the_kill_of_its_worker(outcomes: Outcomes, seam: str) -> None:
    outcome = await outcomes[seam]
    run = outcome.run
    assert (run.status, run.pr_status, run.error_code) == (RunStatus.completed, PrStatus.created, None)
    assert outcome.file("count.txt") == "first\nsecond\n"
    assert [(call.name, call.result, call.is_error) for call in outcome.calls] == [
        ("bash", "1", False),
        ("bash", "(no output)", False),
        ("finish", "Finished.", False),
    ]
    assert [(step.iteration, step.status) for step in outcome.steps] == [(1, StepStatus.completed)]
    assert len(outcome.sandboxes) == 1
    assert outcome.branches == [run.branch_name]
    [pull] = outcome.pulls
    assert pull["html_url"] == run.pr_url
    assert int(outcome.git("rev-list", "--count", f"main..{run.branch_name}")) == 1
    kinds = [each.type for each in outcome.notifications]
    assert kinds == [NotificationType.pr_created, NotificationType.run_completed]
    again = (EventType.turn_completed, EventType.tool_completed, EventType.job_resumed)
    once = [event for event in outcome.types if event not in again]
    assert len(once) == len(set(once)), "an event was written twice"
