"""Runs of a project that bounds how many are at work: one after the other, the urgent ones first."""

import asyncio
import signal
from itertools import pairwise

import pytest

from activities.runs.lifecycle import RunActivities, RunQueued
from activities.runs.queue_signals import signal_next_runs
from models import Project, Run
from models.event import EventType
from models.issues.issue import IssuePriority
from models.runs.run import RunPriority, RunStatus
from models.runs.run_queue import queue_position
from tests.support.installation import Installation, wait_until
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay

BRIEF = register_scenario("queue-brief", bash("echo work > work.txt"), finish("Wrote work.txt."))
SLOW = register_scenario("queue-slow", with_delay(bash("echo work > work.txt"), 3), finish("Wrote work.txt."))


async def set_limit(site: Installation, most: int | None, project: Project | None = None) -> Project:
    project = project or await site.project()
    async with site.database.transaction() as session:
        (await session.get_one(Project, project.id)).max_concurrent_runs = most
    return project


async def sent(site: Installation, project: Project, prompt: str, priority: int) -> Run:
    run = await site.accept(f"Work {prompt}", project=project)
    async with site.database.transaction() as session:
        (await session.get_one(Run, run.id)).priority = priority
    return await site.send(await site.read(run))


async def enqueued(
    site: Installation, project: Project, prompt: str = BRIEF, priority: int = RunPriority.normal
) -> Run:
    """A run that has found no room."""
    run = await sent(site, project, prompt, priority)
    await site.until(run, EventType.run_queued)
    return run


async def position(site: Installation, run: Run) -> int | None:
    async with site.database.read_only() as session:
        return await queue_position(session, await site.read(run))


async def outcomes_of(site: Installation, *runs: Run) -> list[RunOutcome]:
    return [*await asyncio.gather(*(outcome_of(site, run) for run in runs))]


def assert_one_after_the_other(outcomes: list[RunOutcome]) -> None:
    runs = [outcome.run for outcome in outcomes]
    assert [run.status for run in runs] == [RunStatus.completed] * len(runs)
    for earlier, later in pairwise(runs):
        assert earlier.completed_at is not None
        assert later.started_at is not None
        assert earlier.completed_at <= later.started_at


@pytest.fixture
async def at_work(site: Installation) -> Run:
    """The one run that its project may have at work."""
    run = await site.start(f"Work {SLOW}", project=await set_limit(site, 1))
    await site.until(run, EventType.run_started)
    return run


async def project_of(site: Installation, run: Run) -> Project:
    async with site.database.read_only() as session:
        return await session.get_one(Project, run.project_id)


async def test_a_queued_run_begins_when_the_one_before_has_ended(site: Installation, at_work: Run) -> None:
    project = await project_of(site, at_work)
    waiting = [await enqueued(site, project) for _ in range(2)]
    assert [await position(site, run) for run in (at_work, *waiting)] == [None, 1, 2]
    assert_one_after_the_other(await outcomes_of(site, at_work, *waiting))


async def test_urgent_runs_begin_before_older_ones(site: Installation, at_work: Run) -> None:
    project = await project_of(site, at_work)
    ordinary = await enqueued(site, project)
    urgent = await enqueued(site, project, priority=IssuePriority.critical.run_priority)
    assert [await position(site, run) for run in (urgent, ordinary)] == [1, 2]
    assert_one_after_the_other(await outcomes_of(site, at_work, urgent, ordinary))


async def test_the_priority_in_temporal_is_never_above_normal(site: Installation) -> None:
    """On the workers, which all projects share; what is less urgent comes after all others there."""
    project = await site.project()
    found = {}
    for priority in IssuePriority:
        run = await sent(site, project, BRIEF, priority.run_priority)
        described = await site.handle(run).describe()
        found[priority] = described.raw_description.workflow_execution_info.priority.priority_key
        await site.handle(run).cancel()
    assert found == {
        IssuePriority.low: 4,
        IssuePriority.medium: 3,
        IssuePriority.high: 3,
        IssuePriority.critical: 3,
    }


@pytest.mark.soak
async def test_a_raised_limit_lets_queued_runs_begin(site: Installation, at_work: Run) -> None:
    project = await project_of(site, at_work)
    waiting = [await enqueued(site, project, SLOW) for _ in range(2)]
    await set_limit(site, 3, project)
    await signal_next_runs(site.database, site.client, project.id)
    for run in waiting:
        await site.until(run, EventType.run_started)
    first, *others = await outcomes_of(site, at_work, *waiting)
    assert {outcome.run.status for outcome in (first, *others)} == {RunStatus.completed}
    begun = [outcome.run.started_at for outcome in others]
    assert all(first.run.completed_at and at and at < first.run.completed_at for at in begun)


async def test_a_paused_run_lets_others_pass_and_begins_after_it_is_resumed(
    site: Installation, at_work: Run
) -> None:
    """And holds up nobody meanwhile."""
    project = await project_of(site, at_work)
    held, behind = await enqueued(site, project), await enqueued(site, project)
    await site.command(held, "pause")
    assert (await site.read(held)).status is RunStatus.paused
    assert [await position(site, run) for run in (held, behind)] == [None, 1]
    first, second = await outcomes_of(site, at_work, behind)
    assert (await site.read(held)).started_at is None
    await site.command(held, "resume")
    assert_one_after_the_other([first, second, *await outcomes_of(site, held)])


async def test_a_resumed_run_does_not_jump_the_queue(site: Installation, at_work: Run) -> None:
    held = await enqueued(site, await project_of(site, at_work))
    await site.command(held, "pause")
    await site.command(held, "resume")
    assert (await site.read(held)).status is RunStatus.pending
    assert_one_after_the_other(await outcomes_of(site, at_work, held))


@pytest.mark.parametrize("command", ["cancel", "graceful_stop"])
async def test_a_run_that_is_ended_in_the_queue_never_begins(
    site: Installation, at_work: Run, command: str
) -> None:
    run = await enqueued(site, await project_of(site, at_work))
    if command == "cancel":
        await site.handle(run).cancel()
    else:
        await site.command(run, "graceful_stop")
    outcome = await outcome_of(site, run)
    assert outcome.run.status is RunStatus.cancelled
    assert EventType.run_started not in outcome.types
    assert not outcome.sandboxes


@pytest.mark.soak
async def test_queued_runs_survive_a_killed_worker(site: Installation, at_work: Run) -> None:
    waiting = await enqueued(site, await project_of(site, at_work))
    for worker in site.workers:
        worker.send(signal.SIGKILL)
    await site.start_worker()
    assert_one_after_the_other(await outcomes_of(site, at_work, waiting))


async def test_begin_run_is_idempotent(site: Installation, at_work: Run) -> None:
    """As when it was killed after its commit, and while the first one still asks."""
    project = await project_of(site, at_work)
    asked = [await site.accept(f"Work {BRIEF}", project=project) for _ in range(3)]
    begin_run = RunActivities(site.database).begin_run
    answers = await asyncio.gather(*(begin_run(run.id) for run in asked * 3))
    assert {type(answer) for answer in answers} == {RunQueued}
    for run in asked:
        assert [event.type for event in await site.events(run)].count(EventType.run_queued) == 1
    await set_limit(site, 2, project)
    answers = await asyncio.gather(*(begin_run(run.id) for run in asked[::-1] * 3))
    assert sum(not isinstance(answer, RunQueued) for answer in answers) == 3, "one run, three times"
    assert [(await site.read(run)).status for run in asked] == [RunStatus.running, *[RunStatus.pending] * 2]


@pytest.mark.soak
async def test_a_queued_run_is_signalled_only_when_there_is_room(site: Installation, at_work: Run) -> None:
    run = await enqueued(site, await project_of(site, at_work))
    await signal_next_runs(site.database, site.client, run.project_id)

    async def is_signalled() -> bool:
        history = await site.handle(run).fetch_history()
        return any(event.HasField("workflow_execution_signaled_event_attributes") for event in history.events)

    assert not await is_signalled()
    await outcome_of(site, at_work)
    await wait_until(is_signalled, "the next one is told")
    await outcome_of(site, run)
