"""Holding a run, letting it go on, and stopping it with what it has."""

import asyncio
import signal
from asyncio import Task

import pytest
from temporalio.client import WorkflowUpdateFailedError

from models.event import EventType
from models.runs.run import PrStatus, Run, RunStatus
from models.runs.run_step import StepStatus
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay
from tests.support.stack import Servers

SLOW = register_scenario(
    "slow",
    bash("echo one >> slow.txt"),
    with_delay(bash("echo two >> slow.txt"), 1.5),
    bash("echo three >> slow.txt"),
    finish("Wrote three lines."),
)
HELD_SECONDS = 2.0
Outcomes = dict[str, Task[RunOutcome]]


@pytest.fixture(scope="module")
async def outcomes(site: Installation, parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    plays = {
        "by_update": _held_by_update(site),
        "by_signal": _held_by_signal(site),
        "over_restart": _held_over_a_restart(parts, tmp_path_factory),
        "stopped": _stopped(site),
        "stopped_while_held": _stopped_while_held(site),
    }
    return {name: asyncio.create_task(play) for name, play in plays.items()}


async def _begun(site: Installation) -> Run:
    run = await site.start(f"Slow {SLOW}")
    await site.until(run, EventType.turn_completed)
    return run


async def _held_by_update(site: Installation) -> RunOutcome:
    run = await _begun(site)
    await site.command(run, "pause")
    assert (await site.read(run)).status is RunStatus.paused
    await site.command(run, "pause")  # again changes nothing
    await _stays(site, run)
    await site.command(run, "resume")
    return await outcome_of(site, run)


async def _held_by_signal(site: Installation) -> RunOutcome:
    """As from Temporal's Web UI or command line, where only names are known."""
    run = await _begun(site)
    handle = site.client.get_workflow_handle(run.id)
    await handle.signal("pause")
    await site.until(run, EventType.run_paused)
    await _stays(site, run)
    await handle.signal("resume")
    return await outcome_of(site, run)


async def _held_over_a_restart(parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> RunOutcome:
    async with open_installation(parts, "held", tmp_path_factory.mktemp("sites") / "held") as site:
        worker = await site.start_worker()
        run = await _begun(site)
        await site.command(run, "pause")
        await worker.stop(signal.SIGTERM, 30)
        worker = await site.start_worker()
        await _stays(site, run)
        await worker.stop(signal.SIGKILL)
        await site.start_worker()
        await _stays(site, run)
        await site.command(run, "resume")
        return await outcome_of(site, run)


async def _stays(site: Installation, run: Run) -> None:
    """The turn in hand ends; after it nothing happens."""

    async def turns() -> int:
        return sum(event.type == EventType.tool_completed for event in await site.events(run))

    before = await turns()
    await asyncio.sleep(HELD_SECONDS)
    assert await turns() <= before + 1
    assert (await site.read(run)).status is RunStatus.paused


async def _stopped(site: Installation) -> RunOutcome:
    run = await _begun(site)
    await site.command(run, "graceful_stop")
    return await outcome_of(site, run)


async def _stopped_while_held(site: Installation) -> RunOutcome:
    run = await _begun(site)
    await site.command(run, "pause")
    await site.command(run, "graceful_stop")
    return await outcome_of(site, run)


@pytest.mark.parametrize("how", ["by_update", "by_signal", "over_restart"])
async def test_a_run_that_was_held_goes_on_as_if_nothing_had_been(outcomes: Outcomes, how: str) -> None:
    outcome = await outcomes[how]
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("slow.txt") == "one\ntwo\nthree\n"
    held = [EventType.run_paused, EventType.run_resumed]
    assert [event for event in outcome.types if event in held] == held


@pytest.mark.parametrize("which", ["stopped", "stopped_while_held"])
async def test_a_stopped_run_keeps_what_it_has_and_opens_no_pull_request(
    outcomes: Outcomes, which: str
) -> None:
    outcome = await outcomes[which]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.cancelled, None)
    assert outcome.pulls == []
    assert outcome.branches == [outcome.run.branch_name]
    assert outcome.file("slow.txt") in ("one\n", "one\ntwo\n")
    assert [step.status for step in outcome.steps] == [StepStatus.cancelled]
    assert EventType.run_stopping in outcome.types


async def test_commands_that_come_too_late_are_refused(outcomes: Outcomes, site: Installation) -> None:
    run = await site.accept(f"Late {SLOW}")
    site.set_trap(f"push@{run.id}", "hold")
    await site.send(run)
    await site.sprung(f"push@{run.id}")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await site.command(run, "pause")
    assert "cannot be paused any more" in str(refused.value.cause)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await site.command(run, "graceful_stop")
    assert "cannot be stopped any more" in str(refused.value.cause)
    site.release(f"push@{run.id}")
    outcome = await outcome_of(site, run)
    assert outcome.run.status is RunStatus.completed


async def test_the_engine_shows_what_a_run_is_and_waits_for(site: Installation, outcomes: Outcomes) -> None:
    run = (await outcomes["by_update"]).run
    description = await site.handle(run).describe()
    shown = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert (
        shown.items()
        >= {
            "ProjectId": run.project_id,
            "CourierRunId": run.id,
            "Kind": "run",
            "Status": "completed",
            "Repository": run.repository_slug,
        }.items()
    )
    summary = await description.static_summary()
    assert summary == f"Run {run.run_number} on {run.repository_slug}: {run.name}"

    async def is_listed() -> bool:
        found = site.client.list_workflows(f"CourierRunId = '{run.id}' AND Kind = 'agent-session'")
        return [each async for each in found] != []

    await wait_until(is_listed, "the session is in the list")
