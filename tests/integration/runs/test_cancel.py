"""A cancel in every phase: the run ends without its work, its sandbox is gone, nothing is made afterwards."""

import asyncio
from asyncio import Task
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from models.blueprints.blueprint import BlueprintConfig
from models.event import EventType
from models.runs.run import Run, RunStatus
from models.runs.run_completion import publish_completion
from models.runs.run_step import StepStatus
from tests.support.installation import Installation, open_installation
from tests.support.outcomes import RunOutcome, branches_of, outcome_of, pulls_of
from tests.support.scenarios import bash, create, finish, register_scenario, with_delay
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

LONGER_THAN_ANYBODY_WAITS = 2 * int(TEST_TIMEOUT_SECONDS)
THINKING = register_scenario(
    "thinking", create("a.txt", "a\n"), with_delay(bash("true"), LONGER_THAN_ANYBODY_WAITS), finish()
)
WORKING = register_scenario(
    "working",
    bash(f"echo begun > begun.txt; sleep {LONGER_THAN_ANYBODY_WAITS}; echo ended > ended.txt"),
    finish(),
)
QUICK = register_scenario("quick", create("a.txt", "a\n"), finish("Made a.txt."))
CI = {"greet.py": "print('hi')\n", ".github/workflows/ci.yml": "on: push\n"}


Plays = dict[str, Task[RunOutcome]]


@pytest.fixture(scope="module")
async def plays(site: Installation) -> Plays:
    phases: dict[str, Callable[[Installation], Awaitable[RunOutcome]]] = {
        "pending": _pending,
        "provisioning": lambda site: _at_event(site, QUICK, EventType.sandbox_creating),
        "cloning": lambda site: _at_event(site, QUICK, EventType.sandbox_running),
        "turn": lambda site: _at_event(site, THINKING, EventType.tool_completed, 0.5),
        "tool call": lambda site: _at_event(site, WORKING, EventType.turn_completed, 1.0),
        "paused": _paused,
        "push": lambda site: _held_at(site, "push"),
        "pull request": lambda site: _held_at(site, "pull-request"),
        "ci": _waiting_for_ci,
        "closing": lambda site: _held_at(site, "kill-sandbox", BlueprintConfig(create_pr=False)),
    }
    few = asyncio.Semaphore(3)

    async def play(phase: Callable[[Installation], Awaitable[RunOutcome]]) -> RunOutcome:
        async with few:
            return await phase(site)

    return {name: asyncio.create_task(play(phase)) for name, phase in phases.items()}


async def _cancel(
    site: Installation, run: Run, *, meanwhile: Callable[[], None] = lambda: None
) -> RunOutcome:
    await site.handle(run).cancel()
    meanwhile()
    await site.ended(run)
    outcome = await outcome_of(site, run)
    await asyncio.sleep(1)
    assert (branches_of(site, run), await pulls_of(site, run)) == (outcome.branches, outcome.pulls)
    return outcome


async def _at_event(site: Installation, tag: str, event: EventType, later: float = 0) -> RunOutcome:
    run = await site.start(f"Cancel {tag}")
    await site.until(run, event)
    await asyncio.sleep(later)
    return await _cancel(site, run)


async def _pending(site: Installation) -> RunOutcome:
    """Cancelled by the API before the engine has it; that it is started afterwards revives nothing."""
    run = await site.accept(f"Cancel {QUICK}")
    async with site.database.transaction() as session:
        row = await session.get_one(Run, run.id, with_for_update=True)
        row.close(RunStatus.cancelled)
        await publish_completion(session, row)
    await site.send(run)
    return await _cancel(site, run)


async def _paused(site: Installation) -> RunOutcome:
    run = await site.start(f"Cancel {THINKING}")
    await site.until(run, EventType.tool_completed)
    await site.command(run, "pause")
    return await _cancel(site, run)


async def _held_at(site: Installation, seam: str, config: BlueprintConfig | None = None) -> RunOutcome:
    run = await site.accept(f"Cancel {QUICK}", config=config)
    trap = f"{seam}@{run.id}"
    site.set_trap(trap, "hold")
    await site.send(run)
    await site.sprung(trap)
    return await _cancel(site, run, meanwhile=lambda: site.release(trap))


async def _waiting_for_ci(site: Installation) -> RunOutcome:
    run = await site.start(f"Cancel {QUICK}", repository=await site.repository(CI))
    await site.until(run, EventType.pr_created)
    await site.until(run, EventType.ci_updated)
    return await _cancel(site, run)


@pytest.mark.parametrize(
    "phase",
    ["pending", "provisioning", "cloning", "turn", "tool call", "paused", "push", "pull request", "ci"],
)
async def test_a_cancel_ends_the_run_without_its_work(plays: Plays, phase: str) -> None:
    outcome = await plays[phase]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.cancelled, None)
    assert outcome.notifications == [] or phase in ("pull request", "ci")
    assert all(step.status is not StepStatus.running for step in outcome.steps)
    pushed = {"push": 1, "pull request": 1, "ci": 1}
    assert len(outcome.branches) == pushed.get(phase, 0)
    opened = {"pull request": 1, "ci": 1}
    assert len(outcome.pulls) == opened.get(phase, 0)


async def test_a_run_cancelled_while_pending_never_gets_a_sandbox(plays: Plays) -> None:
    outcome = await plays["pending"]
    assert outcome.sandboxes == []
    assert outcome.types == [EventType.run_created, EventType.run_cancelled]


async def test_a_cancel_that_comes_while_the_run_closes_is_too_late(plays: Plays) -> None:
    outcome = await plays["closing"]
    assert outcome.run.status is RunStatus.completed


async def test_the_row_says_what_was_made_before_the_cancel(plays: Plays) -> None:
    outcome = await plays["pull request"]
    assert outcome.run.pr_url == outcome.pulls[0]["html_url"]


@pytest.mark.soak
async def test_cancelled_and_its_worker_killed_the_run_is_cancelled(parts: Servers, tmp_path: Path) -> None:
    """The engine tries no activity again after a cancel: what is left of it is a time-out."""
    async with open_installation(parts, "cancel-kill", tmp_path / "site") as site:
        worker = await site.start_worker()
        run = await site.accept(f"Cancel {QUICK}")
        site.set_trap("push", "hold")
        await site.send(run)
        await site.sprung("push")
        await site.handle(run).cancel()
        await asyncio.sleep(1)  # until the activity has been asked to end
        await worker.stop(patience=0.0)
        await site.start_worker()
        outcome = await outcome_of(site, run)
        assert (outcome.run.status, outcome.run.error_code) == (RunStatus.cancelled, None)
