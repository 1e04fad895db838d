"""Sprint chains: one run and one pull request a sprint, held, killed, failed, resumed and ended."""

import asyncio
from pathlib import Path

import pytest
from sqlmodel import col

from activities.chains.lifecycle import CloseChain, end_chain
from activities.chains.sprint_chain import Sprint, SprintChainActivities, SprintEnd
from activities.reconcile.admission import START_SCHEDULE
from kit.errors import Conflict
from models import Blueprint, Notification, Run, SprintChain
from models.chains.chain import ChainStatus
from models.event import Event
from models.notifications.notification import NotificationType
from models.runs.run import PrStatus, RunStatus
from models.runs.run_completion import publish_completion
from tests.support.chains import chain_runs, read, start, wait_for_started_runs, wait_for_status
from tests.support.installation import Installation, open_installation
from tests.support.scenarios import create, finish, register_scenario, with_delay
from tests.support.stack import Servers

SPRINT = register_scenario("chained", create("{{slug}}.txt", "done\n"), finish("Did this sprint's part."))
SLOW = register_scenario(
    "chained-slowly", with_delay(create("{{slug}}.txt", "done\n"), 1.0), finish("Did it slowly.")
)


async def a_chain(site: Installation, count: int, word: str = SPRINT, **fields: object) -> SprintChain:
    """A pending chain of sprints 1 to `count`, as the API leaves it when it is killed before the start."""
    slug = await site.repository()
    project = await site.project()
    blueprint = site.blueprint(project.id)
    await site.add(blueprint)
    chain = SprintChain(
        project_id=project.id,
        workflow_id=blueprint.id,
        github_repo_url=f"{site.settings.github_url}/{slug}",
        prompt=f"Part {{{{sprint}}}} of {{{{sprintCount}}}}: {word}",
        repository_slug=slug,
        sprint_start=1,
        sprint_end=count,
    )
    chain.sqlmodel_update(fields)
    await site.add(chain)
    return chain


async def holds(site: Installation, chain: SprintChain, count: int) -> None:
    """Every sprint has exactly one completed run, with a pull request at its place."""
    done = [run for run in await chain_runs(site, chain) if run.status is RunStatus.completed]
    row = await read(site, chain)
    assert row.status is ChainStatus.completed
    assert [run.pr_status for run in done] == [PrStatus.created] * count
    assert row.sprint_pr_urls == [run.pr_url for run in done]
    assert row.sprint_run_ids == [run.id for run in done]
    assert len(set(row.sprint_pr_urls)) == count
    events = await site.rows(Event, col(Event.subject_id) == chain.id, col(Event.seq))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    told = await site.rows(
        Notification, col(Notification.project_id) == chain.project_id, col(Notification.id)
    )
    assert [each.type for each in told].count(NotificationType.sprint_completed) == count


async def test_a_chain_that_has_ended_begins_no_sprint(site: Installation) -> None:
    """As when a worker that was frozen goes on: nobody would start such a run, nor close it."""
    chain = await a_chain(site, 2, status=ChainStatus.cancelled)
    with pytest.raises(Conflict, match="has ended"):
        await SprintChainActivities(site.database, site.settings).begin_sprint(
            Sprint(chain_id=chain.id, index=0)
        )
    assert await chain_runs(site, chain) == []


async def test_each_sprint_is_a_run_that_is_told_of_those_before(site: Installation) -> None:
    chain = await start(site, await a_chain(site, 3))
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    await holds(site, chain, 3)
    first, _, third = await chain_runs(site, chain)
    assert first.prompt == f"Part 1 of 3: {SPRINT}"
    assert third.prompt.startswith(f"Part 3 of 3: {SPRINT}")
    assert third.prompt.count("Did this sprint's part.") == 2
    assert f'<sprint number="1" pull-request="{first.pr_url}">' in third.prompt
    assert (first.source, first.name) == ("sprint_chain", f"Sprint 1: Part 1 of 3: {SPRINT}")


async def test_chain_makes_the_branch_that_does_not_exist(site: Installation) -> None:
    """Made from the default branch, and what the pull requests of every sprint go to."""
    chain = await start(site, await a_chain(site, 2, branch_name="feature/made-by-the-chain"))
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    await holds(site, chain, 2)
    assert {run.base_branch for run in await chain_runs(site, chain)} == {"feature/made-by-the-chain"}


@pytest.mark.soak
async def test_paused_by_a_signal_it_holds_over_a_restart_and_goes_on(parts: Servers, tmp_path: Path) -> None:
    """As from the Web UI and the command line; the active sprint finishes first."""
    async with open_installation(parts, "sprint-pause", tmp_path / "site") as site:
        worker = await site.start_worker()
        chain = await start(site, await a_chain(site, 2, SLOW))
        await wait_for_started_runs(site, chain, 1)
        await site.client.get_workflow_handle(chain.id).signal("pause")
        await wait_for_status(site, chain, ChainStatus.paused)
        await worker.stop()
        await site.start_worker()
        [run] = await chain_runs(site, chain)
        assert (await site.ended(run)).status is RunStatus.completed
        await asyncio.sleep(1)
        assert len(await chain_runs(site, chain)) == 1
        await site.client.get_workflow_handle(chain.id).execute_update("resume")
        await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
        await holds(site, chain, 2)


@pytest.mark.soak
async def test_a_chain_survives_the_kills_of_its_worker(parts: Servers, tmp_path: Path) -> None:
    async with open_installation(parts, "sprint-kills", tmp_path / "site") as site:
        worker = await site.start_worker()
        chain = await start(site, await a_chain(site, 2))
        for count in (1, 2):
            await wait_for_started_runs(site, chain, count)
            await worker.stop(patience=0.0)
            worker = await site.start_worker()
        await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
        await holds(site, chain, 2)


async def test_told_to_stop_the_active_sprint_finishes(site: Installation) -> None:
    chain = await start(site, await a_chain(site, 3, SLOW))
    await wait_for_started_runs(site, chain, 1)
    await site.client.get_workflow_handle(chain.id).execute_update("stop")
    row = await wait_for_status(site, chain, ChainStatus.cancelled)
    [run] = await chain_runs(site, chain)
    assert run.status is RunStatus.completed
    assert row.sprint_pr_urls == [run.pr_url]


async def test_cancelled_by_an_operator_it_cancels_the_run_at_work(site: Installation) -> None:
    chain = await start(site, await a_chain(site, 2, SLOW))
    await wait_for_started_runs(site, chain, 1)
    await site.client.get_workflow_handle(chain.id).cancel()
    row = await wait_for_status(site, chain, *(status for status in ChainStatus if status.is_final))
    assert (row.status, row.error_code) == (ChainStatus.cancelled, None)
    [run] = await chain_runs(site, chain)
    assert run.status is RunStatus.cancelled


async def test_failed_at_a_sprint_it_is_resumed_from_there(site: Installation) -> None:
    chain = await start(site, await a_chain(site, 3, SLOW))
    await wait_for_started_runs(site, chain, 2)
    second = (await chain_runs(site, chain))[1]
    await site.handle(second).cancel()
    failed = await wait_for_status(site, chain, ChainStatus.failed)
    assert (failed.error_code, failed.current_sprint_index) == ("SPRINT_FAILED", 1)
    assert len(failed.sprint_pr_urls) == 1
    async with site.database.transaction() as session:
        row = await session.get_one(SprintChain, chain.id, with_for_update=True)
        row.retry_from(None)
    again = await read(site, chain)
    assert (again.status, again.resume_from_sprint, again.temporal_workflow_id) == (
        "pending",
        1,
        f"{chain.id}.2",
    )
    await start(site, again)
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    await holds(site, chain, 3)
    assert len(await chain_runs(site, chain)) == 4


async def _resume(site: Installation, chain: SprintChain) -> None:
    """The sweep fails a chain whose workflow is gone, and a member resumes it."""
    async with site.database.transaction() as session:
        row = await session.get_one(SprintChain, chain.id, with_for_update=True)
        lost = CloseChain(chain_id=chain.id, status=ChainStatus.failed, code="WORKFLOW_LOST", message="Gone.")
        await end_chain(session, row, lost)
        row.retry_from(None)
    await start(site, await read(site, chain))


@pytest.mark.parametrize("when", ["at work", "over"])
async def test_a_chain_that_is_lost_in_a_sprint_goes_on_with_the_run_of_that_sprint(
    site: Installation, when: str
) -> None:
    """Its workflow is terminated while its first run is at work, and the chain is resumed before or after."""
    chain = await start(site, await a_chain(site, 2, SLOW))
    await wait_for_started_runs(site, chain, 1)
    [run] = await chain_runs(site, chain)
    await site.client.get_workflow_handle(chain.id).terminate()
    if when == "over":
        await site.ended(run)
    await _resume(site, chain)
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    await holds(site, chain, 2)
    assert len(await chain_runs(site, chain)) == 2


@pytest.mark.soak
async def test_a_chain_that_is_lost_between_two_sprints_does_not_repeat_one(site: Installation) -> None:
    chain = await a_chain(site, 2, status=ChainStatus.running)
    activities = SprintChainActivities(site.database, site.settings)
    run = await activities.begin_sprint(Sprint(chain_id=chain.id, index=0))
    async with site.database.transaction() as session:
        (await session.get_one(Run, run.run_id)).close(RunStatus.completed)
    await activities.end_sprint(SprintEnd(run_id=run.run_id, chain_id=chain.id, index=0))
    await _resume(site, chain)
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    assert [each.status for each in await chain_runs(site, chain)] == [RunStatus.completed] * 2


@pytest.mark.soak
async def test_a_run_whose_workflow_fails_is_the_end_of_its_sprint(site: Installation) -> None:
    """Its workflow is terminated; the sweep closes its row, and the chain says what failed."""
    chain = await start(site, await a_chain(site, 2, SLOW))
    await wait_for_started_runs(site, chain, 1)
    [run] = await chain_runs(site, chain)
    await site.handle(run).terminate()
    async with site.database.transaction() as session:
        row = await session.get_one(Run, run.id, with_for_update=True)
        row.close(RunStatus.failed, code="WORKFLOW_LOST", message="Its workflow is gone.")
        await publish_completion(session, row)
    failed = await wait_for_status(site, chain, ChainStatus.failed)
    assert (failed.error_code, failed.error_run_id) == ("SPRINT_FAILED", run.id)
    assert "WORKFLOW_LOST" in str(failed.error_message)
    events = await site.rows(Event, col(Event.subject_id) == chain.id, col(Event.seq))
    assert [event.type for event in events][-2:] == ["sprint.failed", "chain.ended"]


@pytest.mark.soak
async def test_told_to_stop_during_its_last_sprint_it_completes_and_says_so(site: Installation) -> None:
    chain = await start(site, await a_chain(site, 1, SLOW))
    await wait_for_started_runs(site, chain, 1)
    await site.client.get_workflow_handle(chain.id).execute_update("stop")
    row = await wait_for_status(site, chain, *(status for status in ChainStatus if status.is_final))
    assert (row.status, row.error) == (ChainStatus.completed, None)
    [*_, last] = await site.rows(Event, col(Event.subject_id) == chain.id, col(Event.seq))
    assert "stop during its last sprint" in str(last.data["message"])


async def test_a_chain_whose_workflow_is_gone_fails_with_a_reason(site: Installation) -> None:
    chain = await a_chain(site, 2)
    async with site.database.transaction() as session:
        (await session.get_one(Blueprint, chain.workflow_id)).trash()
    await start(site, chain)
    failed = await wait_for_status(site, chain, ChainStatus.failed)
    assert (failed.error_code, failed.error_message) == ("NOT_FOUND", "Workflow not found.")
    assert await chain_runs(site, chain) == []


async def test_a_chain_left_pending_is_started_by_the_sweep(site: Installation) -> None:
    chain = await a_chain(site, 1)
    await site.client.get_schedule_handle(START_SCHEDULE).trigger()
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    await holds(site, chain, 1)


@pytest.mark.parametrize("status", [RunStatus.completed, RunStatus.failed])
async def test_the_end_of_a_sprint_is_told_once(site: Installation, status: RunStatus) -> None:
    """As when a worker dies after it was written, and before the engine was told."""
    chain = await a_chain(site, 2, status=ChainStatus.running)
    activities = SprintChainActivities(site.database, site.settings)
    sprint = Sprint(chain_id=chain.id, index=0)
    run = await activities.begin_sprint(sprint)
    assert await activities.begin_sprint(sprint) == run
    async with site.database.transaction() as session:
        (await session.get_one(Run, run.run_id)).close(status)
    end = SprintEnd(run_id=run.run_id, **sprint.model_dump())
    assert [await activities.end_sprint(end) for _ in range(2)] == [status] * 2
    events = await site.rows(Event, col(Event.subject_id) == chain.id, col(Event.seq))
    kind = "sprint.completed" if status is RunStatus.completed else "sprint.failed"
    assert [event.type for event in events] == ["sprint.started", kind]
    told = await site.rows(
        Notification, col(Notification.project_id) == chain.project_id, col(Notification.id)
    )
    assert [each.type for each in told] == [kind.replace(".", "_")]
