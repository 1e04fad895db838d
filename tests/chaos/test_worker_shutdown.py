"""A worker told to leave: the turn in flight is finished and paid for once; told twice, it is gone."""

import signal
from pathlib import Path

import pytest

from models import Run
from models.event import EventType
from models.runs.run import RunStatus
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.model_recorder import Recorder, record_model
from tests.support.outcomes import outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay
from tests.support.stack import Servers

pytestmark = pytest.mark.soak

TURN_SECONDS = 4
SLOW = register_scenario("leaving", with_delay(bash("echo 1 > a.txt"), TURN_SECONDS), finish())
MANY_SECONDS = 300
SLEEPING = register_scenario("leaving-at-once", with_delay(bash("true"), MANY_SECONDS), finish())


async def test_a_turn_in_flight_is_finished_by_the_worker_that_leaves(parts: Servers, tmp_path: Path) -> None:
    async with (
        open_installation(parts, "leaving", tmp_path / "site") as site,
        record_model(_model(site)) as model,
    ):
        leaving = await site.start_worker(ANTHROPIC_BASE_URL=model.url, WORKER_GRACE_SECONDS="0")
        run = await site.start(f"Slow {SLOW}")
        await _asked(model, run)
        leaving.send(signal.SIGTERM)
        await site.start_worker(ANTHROPIC_BASE_URL=model.url)
        await site.until(run, EventType.turn_completed)
        outcome = await outcome_of(site, run)
        assert await leaving.ended(60)
    assert outcome.run.status is RunStatus.completed
    assert len(model.requests) == 2, "no turn was asked for, and paid for, twice"


async def test_a_worker_that_is_told_twice_leaves_at_once(parts: Servers, tmp_path: Path) -> None:
    async with (
        open_installation(parts, "leaving-at-once", tmp_path / "site") as site,
        record_model(_model(site)) as model,
    ):
        leaving = await site.start_worker(
            ANTHROPIC_BASE_URL=model.url, WORKER_GRACE_SECONDS="600", AGENTS_GRACE_SECONDS="600"
        )
        run = await site.start(f"Sleep {SLEEPING}")
        await _asked(model, run)
        leaving.send(signal.SIGTERM)
        await wait_until(lambda: _says(site, "the worker leaves"), "it has heard the signal")
        leaving.send(signal.SIGTERM)
        assert await leaving.ended(60), "it waited for the turn"


def _model(site: Installation) -> str:
    assert site.settings.anthropic_base_url is not None
    return site.settings.anthropic_base_url


async def _asked(model: Recorder, run: Run) -> None:
    async def is_asked() -> bool:
        return model.requests != []

    await wait_until(is_asked, f"a turn of {run.id} is in flight")


async def _says(site: Installation, words: str) -> bool:
    return words in site.log.read_text()
