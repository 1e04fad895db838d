"""A cancel while the model is about to answer: nothing follows the last event, and what it cost counts."""

import asyncio

import pytest

from models.event import EventType
from models.runs.run import RunStatus
from tests.support.installation import Installation
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay

ANSWER_SECONDS = 1.0
EARLIER_SECONDS = 0.3
"""Before the answer; what comes in between is what an activity hears of its cancel with."""
LATE = register_scenario("late", with_delay(bash("true"), ANSWER_SECONDS), finish())
AT_ONCE = 5


async def cancelled(site: Installation, earlier: float) -> RunOutcome:
    run = await site.start(f"Cancel {LATE}")
    await site.until(run, EventType.step_started)
    await asyncio.sleep(ANSWER_SECONDS - earlier)
    await site.handle(run).cancel()
    await site.ended(run)
    await asyncio.sleep(2 * ANSWER_SECONDS)  # until whatever was under way is over
    return await outcome_of(site, run)


async def play(site: Installation, times: int) -> None:
    """Every outcome holds what holds for every run: its last event is the last, and there is no gap."""
    for _ in range(times // AT_ONCE):
        earlier = [EARLIER_SECONDS * number / (AT_ONCE - 1) for number in range(AT_ONCE)]
        outcomes = await asyncio.gather(*(cancelled(site, seconds) for seconds in earlier))
        for outcome in outcomes:
            assert outcome.run.status is RunStatus.cancelled
            assert outcome.run.current_step_progress is None
            spent = sum(record.cost_usd for record in outcome.usage if record.service == "anthropic")
            assert outcome.run.cost_usd == spent


async def test_nothing_follows_the_last_event_of_a_run(site: Installation) -> None:
    await play(site, AT_ONCE)


@pytest.mark.soak
async def test_nothing_follows_the_last_event_of_a_hundred_runs(site: Installation) -> None:
    await play(site, 100)
