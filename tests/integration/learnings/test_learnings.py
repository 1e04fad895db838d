"""Learnings on real parts: found in a transcript, approved, compiled, told to the agents of the next run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import col

from activities.reconcile.admission import START_SCHEDULE
from activities.reconcile.findings import Inconsistency
from api.app import create_app
from models import (
    AgentSession,
    ApiKey,
    Event,
    Learning,
    LearningExtraction,
    Member,
    Project,
    Run,
    UsageRecord,
)
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole, ThinkingEffort
from models.jobs.job import WORKFLOW_LOST
from models.learnings.extraction import ExtractionStatus
from models.projects.api_key import SCOPES
from models.runs.run import RunStatus
from tests.support.inconsistencies import find_finding, repair_once
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.model_recorder import record_model
from tests.support.scenarios import Turn, bash, create, finish, register_scenario, tool_calls, with_delay
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

EXTRACTOR = "learning-extractor"


def report(description: str, *roles: str) -> Turn:
    given: dict[str, object] = {
        "description": description,
        "trigger": f"Whenever {description}",
        "correct_behavior": "Look first",
        "severity": "high",
        "applicable_roles": list(roles),
    }
    return tool_calls(("report_learning", given))


TEACHING = register_scenario("teaching", create("a.txt", "a\n"), finish("Made it."), role="designer")
register_scenario("teaching", bash("git status"), finish("Fine.", verdict="pass"), role="checker")
register_scenario(
    "teaching",
    report("greetings are tested by hand", "designer"),
    report("the main branch is protected"),
    report("GREETINGS are tested by hand.", "designer"),
    finish("Two learnings."),
    role=EXTRACTOR,
)
MORTAL = register_scenario("mortal", create("a.txt", "a\n"), finish("Made it."), role="designer")
register_scenario(
    "mortal",
    report("greetings are tested by hand"),
    with_delay(report("the main branch is protected"), 2.0),
    finish("Both."),
    role=EXTRACTOR,
)
CONFUSED = register_scenario("confused", create("a.txt", "a\n"), finish("Made it."), role="designer")
register_scenario("confused", {"toolCalls": [], "text": "Shall I?"}, role=EXTRACTOR)
TALKING = register_scenario("talks-and-fails", {"toolCalls": [], "text": "Shall I go on?"}, role="designer")
register_scenario("talks-and-fails", report("agents that ask get no answer"), finish("One."), role=EXTRACTOR)
STEPS = [
    PipelineStep(role=StepRole.designer, label="Design"),
    PipelineStep(role=StepRole.checker, label="Check"),
]


@asynccontextmanager
async def api_of(site: Installation, project: Project) -> AsyncIterator[httpx.AsyncClient]:
    """The site's API with a key of the project."""
    [member] = await site.rows(Member, col(Member.project_id) == project.id, col(Member.id))
    key, secret = ApiKey.generate(project_id=project.id, member_id=member.id, name="test", scopes=[*SCOPES])
    await site.add(key)
    app = create_app(site.settings)
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {secret}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", headers=headers) as client,
    ):
        yield client


async def learning_project(site: Installation, **config: object) -> Project:
    return await site.project(learning_config=config)


async def data(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()["data"]


async def extraction(site: Installation, run: Run) -> LearningExtraction:
    [row] = await site.rows(
        LearningExtraction, col(LearningExtraction.run_id) == run.id, col(LearningExtraction.id)
    )
    return row


async def extracted(
    site: Installation, run: Run, patience: float = TEST_TIMEOUT_SECONDS
) -> LearningExtraction:
    """The extraction of an ended run once it is over; asserts what holds for every one."""

    async def is_over() -> bool:
        return (await extraction(site, run)).is_finished

    await wait_until(is_over, f"the extraction of {run.id} is over", patience)
    row = await extraction(site, run)
    events = await site.rows(Event, col(Event.subject_id) == row.id, col(Event.seq))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "learning-extraction.ended"
    assert (await site.events(run))[-1].type in ("run.completed", "run.failed"), (
        "a run's last word is its last"
    )
    return row


async def learnings(site: Installation, project: Project) -> list[Learning]:
    return await site.rows(Learning, col(Learning.project_id) == project.id, col(Learning.id))


async def test_what_a_run_taught_reaches_the_next_one(parts: Servers, tmp_path: Path) -> None:
    async with (
        open_installation(parts, "learnings", tmp_path / "site") as site,
        record_model(str(site.settings.anthropic_base_url)) as recorder,
    ):
        await site.start_worker(ANTHROPIC_BASE_URL=recorder.url)
        project = await learning_project(site)
        first = await site.ended(await site.start(f"First {TEACHING}", STEPS, project=project))
        assert first.status is RunStatus.completed
        row = await extracted(site, first)
        assert (row.status, row.found_count, row.merged_count) == (ExtractionStatus.completed, 2, 0)
        used = await site.rows(UsageRecord, col(UsageRecord.run_id) == first.id, col(UsageRecord.id))
        spent = sum(record.cost_usd for record in used)
        assert row.cost_usd > 0
        assert spent == first.cost_usd + row.cost_usd, "the extraction's usage is the run's"
        [told] = await site.rows(AgentSession, col(AgentSession.job_id) == row.id, col(AgentSession.id))
        assert {told.system} == set(recorder.systems("<transcript>"))
        async with api_of(site, project) as client:
            listed = await data(await client.get("/learnings/list", params={"runId": first.id}))
            assert [each["status"] for each in listed] == ["pending", "pending"]
            assert {each["sandboxId"] for each in listed} != {None}
            ids = [each["id"] for each in listed]
            await data(
                await client.post(
                    "/learnings/bulk-update-status", json={"learningIds": ids, "status": "approved"}
                )
            )
            version = await data(await client.post("/learning-versions/compile"))
            second = await site.start(f"Second {TEACHING}", STEPS, project=project)
            await data(await client.post("/learning-versions/activate", json={"versionId": version["id"]}))
            third = await site.start(f"Third {TEACHING}", STEPS, project=project)
            await site.ended(second)
            await site.ended(third)
            assert all("<learnings>" not in system for system in recorder.systems("Second "))
            for role, held in (("designer", 2), ("checker", 1)):
                shown = await data(await client.get("/learnings/preview", params={"role": role}))
                assert shown["learningCount"] == held
                prompts = [each for each in recorder.systems("Third ") if each.startswith(f"Role: {role}\n")]
                assert prompts
                assert all(each.endswith(f"\n\n{shown['document']}") for each in prompts)
                assert {each.count("<learnings>") for each in prompts} == {1}
        again = await extracted(site, third)
        assert (again.found_count, again.merged_count) == (0, 2)
        await extracted(site, second)
        assert [each.occurrences for each in await learnings(site, project)] == [3, 3]


@pytest.mark.soak
async def test_a_worker_killed_amid_an_extraction_adds_nothing_twice(parts: Servers, tmp_path: Path) -> None:
    async with open_installation(parts, "learnings-kill", tmp_path / "site") as site:
        worker = await site.start_worker()
        project = await learning_project(site)
        run = await site.ended(await site.start(f"Mortal {MORTAL}", project=project))

        async def has_found() -> bool:
            return len(await learnings(site, project)) == 1

        await wait_until(has_found, "the first learning")
        site.set_trap("answered")
        assert await worker.ended(60), "the worker never got the second answer"
        await site.start_worker()
        row = await extracted(site, run, 120)
        assert (row.status, row.found_count, row.merged_count) == (ExtractionStatus.completed, 2, 0)
        found = await learnings(site, project)
        assert [(each.description, each.occurrences) for each in found] == [
            ("greetings are tested by hand", 1),
            ("the main branch is protected", 1),
        ]


@pytest.mark.soak
async def test_a_failed_extraction_leaves_its_run_as_it_was(site: Installation) -> None:
    project = await learning_project(site)
    run = await site.ended(await site.start(f"Confused {CONFUSED}", project=project))
    row = await extracted(site, run)
    assert (row.status, row.error_code) == (ExtractionStatus.failed, "NO_RESULT")
    assert await learnings(site, project) == []
    assert await site.read(run) == run


async def test_an_extraction_that_cannot_be_paid_for_ends(site: Installation) -> None:
    project = await learning_project(site, maxCostUsd=0.00001)
    run = await site.ended(await site.start(f"Poor {TEACHING}", STEPS, project=project))
    row = await extracted(site, run)
    assert (row.status, row.error_code) == (ExtractionStatus.failed, "BUDGET_REACHED")
    assert row.cost_usd == 0
    assert await site.read(run) == run


@pytest.mark.soak
async def test_a_failed_run_teaches_too(site: Installation) -> None:
    project = await learning_project(site)
    run = await site.ended(await site.start(f"Talk {TALKING}", project=project))
    assert run.status is RunStatus.failed
    assert (await extracted(site, run)).found_count == 1


async def test_what_was_not_started_is_started_by_the_sweep(site: Installation) -> None:
    project = await learning_project(site, isEnabled=False)
    run = await site.ended(await site.start(f"Later {TEACHING}", STEPS, project=project))
    assert (
        await site.rows(
            LearningExtraction, col(LearningExtraction.run_id) == run.id, col(LearningExtraction.id)
        )
        == []
    )
    left = LearningExtraction(
        project_id=project.id,
        run_id=run.id,
        name="Left",
        github_repo_url="u",
        repository_slug="o/r",
        thinking_effort=ThinkingEffort.low,
    )
    left.created_at = left.created_at.replace(year=2020)
    await site.add(left)
    await site.client.get_schedule_handle(START_SCHEDULE).trigger()
    assert (await extracted(site, run)).found_count == 2


async def test_an_extraction_without_its_workflow_is_closed_as_failed(site: Installation) -> None:
    project = await learning_project(site, isEnabled=False)
    run = await site.ended(await site.start(f"Lost {TEACHING}", STEPS, project=project))
    lost = LearningExtraction(
        project_id=project.id,
        run_id=run.id,
        name="Lost",
        github_repo_url="u",
        repository_slug="o/r",
        thinking_effort=ThinkingEffort.low,
    )
    lost.mark_started()
    await site.add(lost)
    assert await find_finding(site, Inconsistency.abandoned_row, lost.id) is not None
    assert (
        await repair_once(site, Inconsistency.abandoned_row, lost.id) == f"closed as failed, {WORKFLOW_LOST}"
    )
    assert (await extracted(site, run)).error_code == WORKFLOW_LOST
    assert await site.read(run) == run
