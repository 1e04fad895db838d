"""The servers under a run are killed, its start is never sent, its sandbox is taken away: it completes."""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

import worker.main
from local.state import State
from models import Run
from models.blueprint import PipelineStep
from models.event import EventType
from models.persona import StepRole
from models.run import PrStatus, RunStatus
from models.sandbox import SandboxStatus
from tests.chaos.buggy import BUGGY
from tests.runs.outcome import outcome_of
from tests.runs.parts import Parts
from tests.runs.scenarios import bash, create, delayed, finish, scripted
from tests.runs.site import Site, opened

LONG = scripted(
    "long",
    bash("echo first >> count.txt; sleep 3"),
    delayed(bash("echo second >> count.txt; sleep 3"), 3),
    finish("Counted to two."),
)
KEPT = scripted("kept", create("kept.txt", "kept\n"), finish("Made kept.txt."), role="designer")
scripted(
    "kept", bash("cat kept.txt; sleep 4; echo more >> kept.txt"), finish("Added to it."), role="optimizer"
)
SHORT = scripted("short", create("a.txt", "a\n"), finish())
TWO_STEPS = [
    PipelineStep(role=StepRole.designer, label="Make"),
    PipelineStep(role=StepRole.optimizer, label="Add"),
]


@pytest.fixture(scope="module")
async def outage(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with opened(parts, "outage", tmp_path_factory.mktemp("sites") / "outage") as site:
        yield site


async def test_a_run_whose_start_was_never_sent_is_started_by_the_sweep(outage: Site) -> None:
    run = await outage.accept(f"Short {SHORT}")
    async with outage.database.transaction() as session:  # it has waited for longer than an API may take
        (await session.get_one(Run, run.id)).created_at -= timedelta(seconds=30)
    await outage.start_worker()
    outcome = await outcome_of(outage, run)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)


async def test_a_run_survives_the_kill_of_temporal_and_of_postgresql(outage: Site, parts: Parts) -> None:
    run = await outage.start(f"Long {LONG}")
    await outage.until(run, EventType.turn_completed)
    await _killed(parts, "temporal")
    await outage.until(run, EventType.tool_completed)
    await _killed(parts, "postgres")
    outcome = await outcome_of(outage, run, 120)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("count.txt") == "first\nsecond\n"
    assert len(outcome.calls) == 3
    assert len(outcome.pulls) == 1


async def _killed(parts: Parts, part: str) -> None:
    """Kill a server with -9, leave it dead for a while, and start it again."""
    server = State.read(parts.plan.directory).parts[part]
    server.send(signal.SIGKILL)
    assert await server.ended(5)
    await asyncio.sleep(2)
    await parts.stack.start()


async def test_a_sandbox_that_is_taken_away_is_rebuilt_from_its_checkpoint(site: Site) -> None:
    run = await site.start(f"Kept {KEPT}", TWO_STEPS)
    await site.until(run, EventType.turn_completed, count=3)
    await asyncio.sleep(1)
    assert await site.sandboxes.kill_all({"job": run.id}) == 1
    outcome = await outcome_of(site, run)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("kept.txt") == "kept\nmore\n"
    assert [box.status for box in outcome.sandboxes] == [SandboxStatus.error, SandboxStatus.killed]
    assert outcome.types.count(EventType.sandbox_lost) == 1
    assert outcome.types.count(EventType.sandbox_running) == 2
    assert [call.result for call in outcome.calls][2:3] == ["kept"]


async def test_a_bug_in_workflow_code_fails_the_run_and_says_so(
    parts: Parts, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.main, "WORKFLOWS", BUGGY)
    async with opened(parts, "buggy", tmp_path_factory.mktemp("sites") / "buggy") as site:
        main, agents = worker.main.build_workers(site.client, site.settings, site.database)
        async with main, agents:
            run = await site.start(f"Short {SHORT}")
            with pytest.raises(WorkflowFailureError):
                await site.ended(run)
        ended, last = await site.read(run), (await site.events(run))[-1]
    assert (ended.status, ended.error_code) == (RunStatus.failed, "INTERNAL")
    assert "ZeroDivision" not in str(ended.error_message)
    assert last.type == EventType.run_failed
