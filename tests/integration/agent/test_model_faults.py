"""A model that fails in every way it can: the run completes, and what it waited for was visible."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from temporalio.api.enums.v1 import EventType as HistoryEventType
from temporalio.client import WorkflowHistory

from models.event import Event, EventType
from models.runs.run import PrStatus, Run, RunStatus
from tests.support.installation import Installation, open_installation
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import bash, create, finish, register_scenario, with_faults
from tests.support.stack import Servers

LIMITED = register_scenario(
    "limited",
    with_faults(create("a.txt", "a\n"), {"status": 429, "retryAfter": 5}),
    finish("Made a.txt."),
)
OVERLOADED = register_scenario(
    "overloaded", with_faults(create("a.txt", "a\n"), *[{"status": 529, "retryAfter": 0.3}] * 5), finish()
)
BROKEN = register_scenario(
    "broken",
    with_faults(bash("echo a >> a.txt"), "cut", "truncated"),
    with_faults(bash("echo b >> a.txt"), "malformed", {"status": 500}),
    finish("Wrote two lines."),
)
CLOSED = register_scenario(
    "closed", with_faults(create("a.txt", "a\n"), {"status": 429, "retryAfter": 300}), finish()
)
BYSTANDER = register_scenario("bystander", create("b.txt", "b\n"), finish("Made b.txt."))
Outcomes = dict[str, RunOutcome]


@pytest.fixture(scope="module")
async def faulty_site(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """Its own database, as a limit holds up everybody who uses the same key."""
    async with open_installation(parts, "faults", tmp_path_factory.mktemp("sites") / "faults") as site:
        await site.start_worker()
        yield site


@pytest.fixture(scope="module")
async def outcomes(faulty_site: Installation) -> Outcomes:
    site = faulty_site
    broken = await site.start(f"Broken {BROKEN}")
    broken_play = asyncio.create_task(outcome_of(site, broken))
    await site.until(broken, EventType.step_completed)
    overloaded = await site.start(f"Overloaded {OVERLOADED}")
    await site.until(overloaded, EventType.step_completed)
    bystander = await site.accept(f"Bystander {BYSTANDER}")
    cloned = f"cloned@{bystander.id}"
    site.set_trap(cloned, "hold")  # so that it is about to ask while the limit lasts, on any machine
    await site.send(bystander)
    await site.sprung(cloned)
    limited = await site.start(f"Limited {LIMITED}")
    await site.until(limited, EventType.run_waiting)
    site.release(cloned)
    runs = {"overloaded": overloaded, "limited": limited, "bystander": bystander}
    plays = {name: asyncio.create_task(outcome_of(site, run)) for name, run in runs.items()}
    return {"broken": await broken_play, **{name: await play for name, play in plays.items()}}


def waits_of(outcome: RunOutcome) -> list[Event]:
    return [event for event in outcome.events if event.type == EventType.run_waiting]


async def attempts_of(site: Installation, outcome: RunOutcome) -> list[int]:
    """How often each model turn was attempted, as Temporal counted."""
    ids = {message.session_id for message in outcome.messages}
    attempts = []
    for each in ids:
        history = await site.client.get_workflow_handle(each).fetch_history()
        attempts += _attempts(history)
    return attempts


def _attempts(history: WorkflowHistory) -> list[int]:
    turns = {
        event.event_id
        for event in history.events
        if event.event_type == HistoryEventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.activity_task_scheduled_event_attributes.activity_type.name == "model_turn"
    }
    started = [event.activity_task_started_event_attributes for event in history.events]
    return [each.attempt for each in started if each.scheduled_event_id in turns]


@pytest.mark.parametrize("which", ["broken", "overloaded", "limited", "bystander"])
async def test_the_run_completes(outcomes: Outcomes, which: str) -> None:
    outcome = outcomes[which]
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)


async def test_a_limit_is_a_wait_and_not_an_attempt(outcomes: Outcomes, faulty_site: Installation) -> None:
    for which in ("limited", "overloaded"):
        assert set(await attempts_of(faulty_site, outcomes[which])) == {1}


async def test_a_wait_is_seen_with_its_reason_and_its_end(outcomes: Outcomes) -> None:
    outcome = outcomes["limited"]
    [wait] = waits_of(outcome)
    assert wait.data["code"] == "PROVIDER_LIMIT"
    assert "429" in str(wait.data["message"])
    until = datetime.fromisoformat(str(wait.data["until"]))
    assert 4 < (until - wait.created_at).total_seconds() < 6
    answered = next(event for event in outcome.events if event.type == EventType.turn_completed)
    assert answered.created_at >= until


async def test_every_overload_is_waited_for(outcomes: Outcomes) -> None:
    waits = waits_of(outcomes["overloaded"])
    assert len(waits) == 5
    assert all("529" in str(wait.data["message"]) for wait in waits)


async def test_a_limit_holds_up_everybody_with_the_same_key(outcomes: Outcomes) -> None:
    [wait] = waits_of(outcomes["limited"])
    bystander = outcomes["bystander"]
    assert len(waits_of(bystander)) == 1
    answered = next(event for event in bystander.events if event.type == EventType.turn_completed)
    assert answered.created_at >= datetime.fromisoformat(str(wait.data["until"]))


async def test_broken_streams_are_asked_again_and_nothing_of_them_is_kept(
    outcomes: Outcomes, faulty_site: Installation
) -> None:
    outcome = outcomes["broken"]
    assert outcome.file("a.txt") == "a\nb\n"
    assert len(outcome.messages) == 4
    assert sorted(await attempts_of(faulty_site, outcome)) == [1, 3, 3]
    assert {wait.data["code"] for wait in waits_of(outcome)} == {"TURN_CUT"}


async def test_a_cancel_does_not_wait_for_the_provider(outcomes: Outcomes, faulty_site: Installation) -> None:
    run: Run = await faulty_site.start(f"Closed {CLOSED}")
    await faulty_site.until(run, EventType.run_waiting)
    waiting = (await faulty_site.read(run)).waiting
    assert waiting is not None
    assert waiting["code"] == "PROVIDER_LIMIT"
    await faulty_site.handle(run).cancel()
    outcome = await outcome_of(faulty_site, run)
    assert (outcome.run.status, outcome.branches, outcome.pulls) == (RunStatus.cancelled, [], [])
