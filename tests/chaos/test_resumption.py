"""A job that a worker left in the middle says so in its events; one that was only tried again does not."""

from pathlib import Path

import pytest

from models.event import Event, EventType
from models.runs.run import RunStatus
from tests.support.installation import Installation, open_installation
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay, with_faults
from tests.support.stack import Servers

pytestmark = pytest.mark.soak

LEFT = register_scenario("left", with_delay(bash("echo once >> once.txt"), 4), finish("Wrote once.txt."))
LONG = register_scenario("left-long", with_delay(bash("true"), 40), finish("Waited."))
CUT = register_scenario("cut-once", with_faults(bash("true"), "cut"), finish("Did nothing."))
STORED = ["The model's answer was stored."]


async def left_at(site: Installation, seam: str) -> RunOutcome:
    """What became of a run whose worker was killed at the seam."""
    site.set_trap(seam)
    run = await site.start(f"Leave {LEFT}")
    worker = await site.start_worker()
    assert await worker.ended(120), f"the worker never came to {seam}"
    await site.start_worker()
    return await outcome_of(site, run, 120)


def resumptions(outcome: RunOutcome) -> list[Event]:
    return [event for event in outcome.events if event.type == EventType.job_resumed]


@pytest.mark.parametrize(("seam", "found"), [("within-a-turn", []), ("turn-stored", STORED)])
async def test_a_killed_worker_is_told_of_with_what_was_repeated_and_what_was_found(
    parts: Servers, tmp_path: Path, seam: str, found: list[str]
) -> None:
    async with open_installation(parts, f"left-{seam}", tmp_path / "site") as site:
        outcome = await left_at(site, seam)
    assert outcome.run.status is RunStatus.completed
    [event] = resumptions(outcome)
    assert event.data["activity"] == "model_turn"
    assert event.data["attempt"] == 2
    assert event.data["reason"] == "Its worker was lost: nothing was heard of it any more."
    assert (event.data["repeated"], event.data["found"]) == (not found, found)


async def test_a_worker_that_shuts_down_is_told_of(parts: Servers, tmp_path: Path) -> None:
    """The turn takes longer than the worker may finish what it has at work."""
    async with open_installation(parts, "left-politely", tmp_path / "site") as site:
        site.set_trap("within-a-turn", "hold")
        run = await site.start(f"Leave {LONG}")
        worker = await site.start_worker()
        await site.sprung("within-a-turn")
        await site.start_worker()
        await worker.stop(patience=60)
        outcome = await outcome_of(site, run, 120)
    assert outcome.run.status is RunStatus.completed
    assert [event.data["reason"] for event in resumptions(outcome)] == ["Its worker was shut down."]


async def test_a_turn_that_is_tried_again_is_no_resumption(site: Installation) -> None:
    outcome = await outcome_of(site, await site.start(f"Cut {CUT}"))
    assert outcome.run.status is RunStatus.completed
    assert resumptions(outcome) == []
