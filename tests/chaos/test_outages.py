"""The servers under a run are killed, its start is never sent, its sandbox is taken away: it completes."""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from local.stack.state import State
from models import Run
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from models.sandboxes.sandbox import SandboxStatus
from tests.support.installation import Installation, open_installation
from tests.support.outcomes import outcome_of
from tests.support.scenarios import bash, create, finish, register_scenario, with_delay
from tests.support.stack import Servers

pytestmark = pytest.mark.soak

LONG = register_scenario(
    "long",
    bash("echo first >> count.txt; sleep 3"),
    with_delay(bash("echo second >> count.txt; sleep 3"), 3),
    finish("Counted to two."),
)
KEPT = register_scenario("kept", create("kept.txt", "kept\n"), finish("Made kept.txt."), role="designer")
register_scenario(
    "kept",
    bash("cat kept.txt; sleep 60"),
    bash("cat kept.txt; echo more >> kept.txt"),
    finish("Added to it."),
    role="optimizer",
)
SHORT = register_scenario("short", create("a.txt", "a\n"), finish())
TWO_STEPS = [
    PipelineStep(role=StepRole.designer, label="Make"),
    PipelineStep(role=StepRole.optimizer, label="Add"),
]


@pytest.fixture(scope="module")
async def outage(parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with open_installation(parts, "outage", tmp_path_factory.mktemp("sites") / "outage") as site:
        yield site


async def test_a_run_whose_start_was_never_sent_is_started_by_the_sweep(outage: Installation) -> None:
    run = await outage.accept(f"Short {SHORT}")
    async with outage.database.transaction() as session:  # it has waited for longer than an API may take
        (await session.get_one(Run, run.id)).created_at -= timedelta(seconds=30)
    await outage.start_worker()
    outcome = await outcome_of(outage, run)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)


async def test_a_run_survives_the_kill_of_temporal_and_of_postgresql(
    outage: Installation, parts: Servers
) -> None:
    run = await outage.start(f"Long {LONG}")
    await outage.until(run, EventType.turn_completed)
    await parts.restart("temporal", away=2)
    await outage.until(run, EventType.tool_completed)
    await parts.restart("postgres", away=2)
    outcome = await outcome_of(outage, run, 120)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("count.txt") == "first\nsecond\n"
    assert len(outcome.calls) == 3
    assert len(outcome.pulls) == 1


async def test_a_sandbox_that_is_taken_away_is_rebuilt_from_its_checkpoint(site: Installation) -> None:
    run = await site.start(f"Kept {KEPT}", TWO_STEPS)
    await site.until(run, EventType.turn_completed, count=3)
    assert await site.sandboxes.kill_all({"job": run.id}) == 1
    outcome = await outcome_of(site, run)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("kept.txt") == "kept\nmore\n"
    assert [box.status for box in outcome.sandboxes] == [SandboxStatus.error, SandboxStatus.killed]
    assert outcome.types.count(EventType.sandbox_lost) == 1
    assert outcome.types.count(EventType.sandbox_running) == 2
    interrupted, again = outcome.calls[2:4]
    assert "made from the checkpoint of" in interrupted.result
    assert (interrupted.is_error, again.result) == (True, "kept")


async def test_a_sandbox_that_is_lost_before_it_is_ready_is_made_anew(site: Installation) -> None:
    run = await site.accept(f"Short {SHORT}")
    trap = f"clone@{run.id}"
    site.set_trap(trap, "hold")
    await site.send(run)
    await site.sprung(trap)
    assert await site.sandboxes.kill_all({"job": run.id}) == 1
    site.release(trap)
    outcome = await outcome_of(site, run)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert [box.status for box in outcome.sandboxes] == [SandboxStatus.error, SandboxStatus.killed]
    assert outcome.types.count(EventType.sandbox_lost) == 1


SLOW = register_scenario(
    "slow-add",
    bash(
        "git config filter.slow.clean 'touch ~/adding; until [ -e ~/go ]; do sleep 0.2; done; cat'; "
        "mkdir large; for n in $(seq 300); do echo $n >large/$n.bin; done; "
        "echo '*.txt filter=slow' >.gitattributes; echo slow >a.txt; "
        "(sleep 45; touch ~/go) >/dev/null 2>&1 & true"
    ),
    finish("Made them."),
)


async def test_git_at_work_survives_temporal_away_for_longer_than_a_heartbeat(
    outage: Installation, parts: Servers
) -> None:
    """The next attempt finds the one before still at work in the sandbox, and waits for it."""
    await outage.start_worker()
    run = await outage.start(f"Slow {SLOW}")
    await outage.until(run, EventType.tool_completed)
    await asyncio.sleep(5)
    server = State.read(parts.plan.directory).parts["temporal"]
    server.send(signal.SIGSTOP)
    await asyncio.sleep(30)
    server.send(signal.SIGCONT)
    outcome = await outcome_of(outage, run, 300)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("a.txt") == "slow\n"
    assert outcome.file("large/300.bin") == "300\n"
    assert len(outcome.pulls) == 1
