"""Sandboxes that are lost, paused or unreachable under a run: nothing is done twice, every loss is told."""

import asyncio
from asyncio import Task
from collections.abc import Callable, Coroutine

import pytest

from gateways.errors import GatewayError
from models import Run
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from models.sandboxes.sandbox import SandboxStatus
from tests.support.installation import Installation, wait_until
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import Turn, bash, create, finish, register_scenario, tool_calls, with_delay
from tests.support.waiting import TEST_TIMEOUT_SECONDS

WAIT = "touch /tmp/begun; sleep 60"
ENDLESS = 1_000


def writing(path: str) -> tuple[str, dict[str, object]]:
    """A call that writes a file."""
    return "bash", {"command": f"echo {path} > {path}"}


def slow(effect: str) -> Turn:
    """A call that begins, takes some seconds, and writes into `effects.txt` once at its begin and its end."""
    return bash(f"echo {effect} >> effects.txt; touch /tmp/begun; sleep 4; echo done >> effects.txt")


REDOING = register_scenario(
    "redoing",
    create("precious.txt", "precious\n"),
    bash(WAIT),
    create("precious.txt", "precious\n"),
    finish(),
)
HEEDLESS = register_scenario(
    "heedless", create("precious.txt", "precious\n"), bash(WAIT), finish("Made precious.txt.")
)
BESIDE = register_scenario(
    "beside",
    tool_calls(("bash", {"command": WAIT}), writing("beside.txt")),
    tool_calls(writing("again.txt")),
    finish(),
)
SAVED = register_scenario(
    "saved", tool_calls(*(writing(f"file-{number}.txt") for number in range(10))), bash(WAIT), finish()
)
DOOMED = register_scenario("doomed-boxes", {**bash(WAIT), "repeat": ENDLESS})
PAUSED = register_scenario("paused-under-a-call", slow("once"), finish())
UNREACHABLE = register_scenario("unreachable", slow("once"), finish())
UNKNOWN = register_scenario("unknown-for-a-moment", bash("echo one > one.txt"), slow("once"), finish())
UNSAVED = register_scenario(
    "unsaved-at-finish",
    create("a.txt", "a\n"),
    with_delay(finish("Made a.txt."), 8),
    create("a.txt", "a\n"),
    finish("Made it again."),
)
GATE = "touch /tmp/begun; until test -e /tmp/open; do sleep 0.1; done; rm /tmp/begun"
PARTIAL = register_scenario(
    "partial", bash(GATE), create("a.txt", "a\n"), bash(WAIT), create("a.txt", "a\n"), finish()
)
DYING = register_scenario("dying", tool_calls(("bash", {"command": WAIT}), writing("beside.txt")), finish())


async def sandbox_of(site: Installation, run: Run) -> str:
    """What the provider calls the sandbox that a run works in."""
    [facts] = await site.sandboxes.find({"job": run.id})
    return facts.id


async def at_work(site: Installation, run: Run, *, sandboxes: int = 1) -> str:
    """Wait until a command of a run has begun in its newest sandbox; what the provider calls that."""
    await site.until(run, EventType.sandbox_running, count=sandboxes, patience=TEST_TIMEOUT_SECONDS)

    async def has_begun() -> bool:
        try:
            handle = await site.sandboxes.attach(await sandbox_of(site, run), 600)
            return await handle.read("/tmp/begun", 1) is not None
        except (GatewayError, ValueError):
            return False

    await wait_until(has_begun, f"a command begins in run {run.id}", TEST_TIMEOUT_SECONDS)
    return await sandbox_of(site, run)


async def kill(site: Installation, run: Run) -> None:
    assert await site.sandboxes.kill(await at_work(site, run))


async def kill_all(site: Installation, run: Run) -> None:
    for number in range(1, 7):
        assert await site.sandboxes.kill(await at_work(site, run, sandboxes=number))


async def pause(site: Installation, run: Run) -> None:
    await site.sandboxes.pause(await at_work(site, run))


Outcomes = dict[str, Task[RunOutcome]]


@pytest.fixture(scope="module")
async def outcomes(site: Installation) -> Outcomes:
    """Runs that are played at the same time, each with what befalls its sandbox."""

    async def hide(site: Installation, run: Run) -> None:
        await site.faults.lay(await at_work(site, run), unknownLookups=1, unreachableSeconds=2)

    async def part(site: Installation, run: Run) -> None:
        await site.faults.lay(await at_work(site, run), unreachableSeconds=6)

    async def forget(site: Installation, run: Run) -> None:
        """It comes back with the files of the first call."""
        sandbox_id = await at_work(site, run)
        await site.faults.lay(sandbox_id, forgets=True)
        await (await site.sandboxes.attach(sandbox_id, 600)).write("/tmp/open", "")
        await site.until(run, EventType.tool_completed, count=2, patience=TEST_TIMEOUT_SECONDS)
        await site.sandboxes.pause(await at_work(site, run))

    async def kill_before_finish(site: Installation, run: Run) -> None:
        await site.until(run, EventType.tool_completed, patience=TEST_TIMEOUT_SECONDS)
        assert await site.sandboxes.kill(await sandbox_of(site, run))

    async def kill_beside(site: Installation, run: Run) -> None:
        await site.until(run, EventType.tool_completed, patience=TEST_TIMEOUT_SECONDS)
        await kill(site, run)

    async def die_slowly(site: Installation, run: Run) -> None:
        await site.until(run, EventType.tool_completed, patience=TEST_TIMEOUT_SECONDS)
        await site.faults.lay(await at_work(site, run), diesInSeconds=300, unreachableSeconds=1)

    few = asyncio.Semaphore(3)

    async def play(
        prompt: str, befall: Callable[[Installation, Run], Coroutine[object, object, None]]
    ) -> RunOutcome:
        async with few:
            run = await site.start(f"Play {prompt}")
            befalling = asyncio.create_task(befall(site, run))
            outcome = await outcome_of(site, run, TEST_TIMEOUT_SECONDS)
            await befalling
            return outcome

    plays = {
        "redoing": (REDOING, kill),
        "heedless": (HEEDLESS, kill),
        "beside": (BESIDE, kill_beside),
        "saved": (SAVED, kill),
        "doomed": (DOOMED, kill_all),
        "paused": (PAUSED, pause),
        "unreachable": (UNREACHABLE, part),
        "unknown": (UNKNOWN, hide),
        "dying": (DYING, die_slowly),
        "partial": (PARTIAL, forget),
        "unsaved": (UNSAVED, kill_before_finish),
    }
    return {name: asyncio.create_task(play(*what)) for name, what in plays.items()}


async def test_an_agent_is_told_that_its_sandbox_was_lost_and_does_it_again(outcomes: Outcomes) -> None:
    outcome = await outcomes["redoing"]
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("precious.txt") == "precious\n"
    assert [call.name for call in outcome.calls].count("bash") == 1, "it was not repeated"
    told = outcome.calls[1]
    assert told.is_error
    for words in ("interrupted", "not repeated", "sandbox was lost at", "no checkpoint", "is gone"):
        assert words in told.result
    assert [box.status for box in outcome.sandboxes] == [SandboxStatus.error, SandboxStatus.killed]


async def test_users_are_told_what_was_lost_and_what_comes_next(
    outcomes: Outcomes,
) -> None:
    for name, origin in (("redoing", "branch"), ("saved", "checkpoint")):
        outcome = await outcomes[name]
        [lost] = [event for event in outcome.events if event.type == EventType.sandbox_lost]
        assert lost.data["sandboxId"] == outcome.sandboxes[0].id
        assert lost.data["rebuiltFrom"] == origin
        assert (lost.data["checkpointAt"] is None) == (origin == "branch")
        assert str(lost.data["since"]) < str(lost.data["lostAt"])


async def test_a_run_that_lost_its_work_and_changes_nothing_is_not_completed(outcomes: Outcomes) -> None:
    outcome = await outcomes["heedless"]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.failed, "WORK_LOST")
    assert outcome.run.pr_status is PrStatus.skipped
    [skipped] = [event for event in outcome.events if event.type == EventType.pr_skipped]
    assert "A sandbox was lost" in str(skipped.data["reason"])
    assert outcome.branches == []


async def test_calls_that_completed_beside_a_lost_one_are_told_of_the_loss_too(outcomes: Outcomes) -> None:
    outcome = await outcomes["beside"]
    by_error = {call.is_error: call for call in outcome.calls[:2]}
    assert by_error[False].result == "(no output)", "its own result stays"
    assert "also what calls did whose results say that they succeeded" in by_error[True].result
    assert outcome.run.status is RunStatus.completed
    assert outcome.git("ls-tree", "--name-only", str(outcome.run.branch_name)).split() == [
        "again.txt",
        "greet.py",
    ]


async def test_a_checkpoint_is_taken_within_a_step(outcomes: Outcomes) -> None:
    outcome = await outcomes["saved"]
    assert outcome.run.status is RunStatus.completed
    assert "from the checkpoint of" in outcome.calls[10].result
    assert {outcome.file(f"file-{number}.txt") for number in range(10)} == {
        f"file-{number}.txt\n" for number in range(10)
    }


async def test_a_run_whose_sandboxes_are_lost_again_and_again_ends(outcomes: Outcomes) -> None:
    outcome = await outcomes["doomed"]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.failed, "SANDBOXES_LOST")
    assert [box.status for box in outcome.sandboxes] == [SandboxStatus.error] * 6
    assert outcome.types.count(EventType.sandbox_lost) == 6


@pytest.mark.parametrize("name", ["paused", "unreachable", "unknown"])
async def test_a_sandbox_that_is_away_for_a_while_is_not_lost(outcomes: Outcomes, name: str) -> None:
    outcome = await outcomes[name]
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("effects.txt") == "once\ndone\n"
    assert len(outcome.sandboxes) == 1
    assert EventType.sandbox_lost not in outcome.types
    assert not any(call.is_error for call in outcome.calls)


async def test_a_sandbox_that_is_slow_to_die_is_lost_at_once(outcomes: Outcomes) -> None:
    outcome = await outcomes["dying"]
    assert [call.is_error for call in outcome.calls].count(True) == 1
    assert outcome.run.error_code == "WORK_LOST"
    assert len(outcome.sandboxes) == 2


async def test_a_sandbox_that_comes_back_without_its_latest_files_is_lost(outcomes: Outcomes) -> None:
    outcome = await outcomes["partial"]
    assert (outcome.run.status, outcome.file("a.txt")) == (RunStatus.completed, "a\n")
    assert [call.is_error for call in outcome.calls] == [False, False, True, False, False]
    assert "is gone" in outcome.calls[2].result
    assert len(outcome.sandboxes) == 2


async def test_a_finish_is_not_accepted_before_the_work_is_safe(outcomes: Outcomes) -> None:
    outcome = await outcomes["unsaved"]
    assert (outcome.run.status, outcome.file("a.txt")) == (RunStatus.completed, "a\n")
    told = outcome.calls[1]
    assert (told.name, told.is_error) == ("finish", True)
    assert told.result.startswith("Not finished: the sandbox was lost before your last changes were saved.")
    assert [step.output for step in outcome.steps] == ["Made it again."]
    assert outcome.types.count(EventType.step_completed) == 1
