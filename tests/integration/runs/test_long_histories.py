"""Runs of hundreds of turns and merges that wait for days: how long the histories become."""

import pytest
from sqlmodel import col

from models import AgentSession, FollowUp
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.event import EventType
from models.merging.merge_job import MergeStatus
from models.runs.run import RunStatus
from tests.support.github import serving_api
from tests.support.history_limits import MAX_HISTORY_EVENTS, suggest_continue_as_new_after
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.outcomes import outcome_of
from tests.support.pull_requests import make_pull_request
from tests.support.scenarios import bash, finish, register_scenario
from tests.support.stack import Servers
from worker.main import build_workers

TURNS = 300
MARATHON = register_scenario(
    "marathon", {**bash("date >> dates.txt"), "repeat": TURNS - 1}, finish("Arrived.")
)
SPRINT_TURNS = 12
SPRINT = register_scenario(
    "sprint", {**bash("date >> dates.txt"), "repeat": SPRINT_TURNS - 1}, finish("Ran a little.")
)
FEW_EVENTS = 40
ROUNDS = 4
DOUBTED = register_scenario(
    "doubted", bash("echo more >> rounds.txt"), finish("Added a line."), role="designer"
)
register_scenario("doubted", finish("Fine.", verdict="pass"), role="checker", told=f"Iteration {ROUNDS} of")
register_scenario("doubted", finish("Not yet.", verdict="fail", feedback="one more"), role="checker")
DOUBTING = [
    PipelineStep(role=StepRole.designer, label="Add", loop_id="add", loop_max_iterations=9),
    PipelineStep(role=StepRole.checker, label="Doubt", loop_id="add", loop_max_iterations=9),
]


@pytest.mark.soak
async def test_a_run_of_300_turns_stays_within_what_an_engine_likes(site: Installation) -> None:
    steps = [PipelineStep(role=StepRole.designer, label="Run", max_turns=TURNS)]
    run = await site.start(f"Marathon {MARATHON}", steps)
    outcome = await outcome_of(site, run, 240)
    assert outcome.run.status is RunStatus.completed
    assert len(outcome.calls) == TURNS
    [session] = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
    for each in (run.id, session.id):
        history = await site.client.get_workflow_handle(each).fetch_history()
        assert len(history.events) < MAX_HISTORY_EVENTS


async def test_a_session_whose_history_grows_long_goes_on_in_a_new_one(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggest_continue_as_new_after(FEW_EVENTS, monkeypatch)
    async with open_installation(parts, "continued", tmp_path_factory.mktemp("sites") / "continued") as site:
        main, agents, *_ = build_workers(site.client, site.settings, site.database)
        async with main, agents:
            run = await site.start(f"Sprint {SPRINT}")
            await site.until(run, EventType.turn_completed, count=8)
            await site.command(run, "pause")
            await site.command(run, "resume")
            outcome = await outcome_of(site, run)
        [session] = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
        handle = site.client.get_workflow_handle(session.id)
        description = await handle.describe()
    assert outcome.run.status is RunStatus.completed
    assert outcome.file("dates.txt").count("\n") == SPRINT_TURNS - 1
    turns = [event.data["turn"] for event in outcome.events if event.type == EventType.turn_completed]
    assert turns == list(range(1, SPRINT_TURNS + 1))
    assert description.raw_description.workflow_execution_info.first_run_id != description.run_id
    assert description.history_length < 3 * FEW_EVENTS


async def test_a_run_whose_history_grows_long_goes_on_in_a_new_one(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggest_continue_as_new_after(FEW_EVENTS, monkeypatch, "Run")
    async with open_installation(parts, "run-continued", tmp_path_factory.mktemp("sites") / "run") as site:
        main, agents, *_ = build_workers(site.client, site.settings, site.database)
        async with main, agents:
            run = await site.start(f"Doubt {DOUBTED}", DOUBTING)
            await site.until(run, EventType.step_completed, count=2)
            await site.command(run, "pause")
            await site.command(run, "resume")
            await site.tell(run, "And be quick.")
            outcome = await outcome_of(site, run, 240)
            told = await site.rows(FollowUp, col(FollowUp.job_id) == run.id, col(FollowUp.id))
        description = await site.client.get_workflow_handle(run.id).describe()
    assert outcome.run.status is RunStatus.completed
    assert [message.status for message in told] == ["delivered"]
    played = [(step.label, step.iteration) for step in outcome.steps][: 2 * ROUNDS]
    assert played == [(label, count) for count in range(1, ROUNDS + 1) for label in ("Add", "Doubt")]
    assert outcome.file("rounds.txt").count("more") >= ROUNDS
    assert description.raw_description.workflow_execution_info.first_run_id != description.run_id


async def test_a_merge_that_waits_long_goes_on_in_a_new_one(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggest_continue_as_new_after(FEW_EVENTS, monkeypatch)
    async with open_installation(
        parts, "merge-continued", tmp_path_factory.mktemp("sites") / "merge"
    ) as site:
        main, agents, *_ = build_workers(site.client, site.settings, site.database)
        async with main, agents, serving_api(site) as api:
            pull = await make_pull_request(site, api)
            check = await pull.github.begin_check(pull.sha)
            job_id = await pull.merge()
            handle = site.client.get_workflow_handle(job_id)

            async def is_continued() -> bool:
                await handle.signal("checks_changed")
                info = (await handle.describe()).raw_description.workflow_execution_info
                return bool(info.first_run_id != info.execution.run_id)

            await wait_until(is_continued, "the merge goes on in a new workflow")
            await pull.github.end_check(check)
            await pull.reaches(job_id, MergeStatus.completed)
