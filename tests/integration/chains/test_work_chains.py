"""Work chains: one run and one pull request an issue, each on top of the last; held, killed and ended."""

import asyncio
from pathlib import Path

import pytest
from sqlmodel import col

from activities.reconcile.admission import START_SCHEDULE
from models import Blueprint, Event, Issue, Notification, Run, WorkChain
from models.base import now
from models.chains.chain import ChainStatus
from models.issues.issue import IssueStatus
from models.notifications.notification import NotificationType
from models.runs.run import PrStatus, RunStatus
from tests.support.chains import chain_runs, read, start, wait_for_started_runs, wait_for_status
from tests.support.history_limits import suggest_continue_as_new_after
from tests.support.installation import Installation, open_installation
from tests.support.outcomes import git, pulls_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay
from tests.support.stack import Servers
from worker.main import build_workers

WORKED = register_scenario("issue-worked", bash("echo done >> log.txt"), finish("Did it."))
SLOWLY = register_scenario(
    "issue-slowly", with_delay(bash("echo done >> log.txt"), 1.0), finish("Did it slowly.")
)
NOTHING = register_scenario("issue-nothing", finish("There was nothing to do."))
FEW_EVENTS = 15


async def a_chain(site: Installation, *prompts: str, **fields: object) -> WorkChain:
    """A chain of an issue for each prompt, as the API leaves it when it is killed before the start."""
    slug = await site.repository()
    project = await site.project()
    blueprint = site.blueprint(project.id)
    issues = [
        Issue(project_id=project.id, title=f"Issue {number}", suggested_prompt=f"Do part {number}: {prompt}")
        for number, prompt in enumerate(prompts, 1)
    ]
    await site.add(blueprint, *issues)
    chain = WorkChain(
        project_id=project.id,
        workflow_id=blueprint.id,
        github_repo_url=f"{site.settings.github_url}/{slug}",
        repository_slug=slug,
        title="Fixes",
        issue_ids=[issue.id for issue in issues],
        asked_at=now(),
    )
    chain.sqlmodel_update(fields)
    await site.add(chain)
    return chain


async def issues_of(site: Installation, chain: WorkChain) -> list[Issue]:
    issues = await site.rows(Issue, col(Issue.id).in_(chain.issue_ids), col(Issue.id))
    return sorted(issues, key=lambda issue: chain.issue_ids.index(issue.id))


async def events_of(site: Installation, subject_id: str) -> list[str]:
    events = await site.rows(Event, col(Event.subject_id) == subject_id, col(Event.seq))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.type for event in events]


async def told(site: Installation, chain: WorkChain) -> list[NotificationType]:
    of_project = col(Notification.project_id) == chain.project_id
    return [each.type for each in await site.rows(Notification, of_project, col(Notification.id))]


async def holds(site: Installation, chain: WorkChain) -> list[Run]:
    """Every issue has one completed run with one pull request, on top of the one before; which they are."""
    row = await read(site, chain)
    assert (row.status, row.error_code) == (ChainStatus.completed, None)
    done = [run for run in await chain_runs(site, chain) if run.status is RunStatus.completed]
    assert row.issue_run_ids == [run.id for run in done]
    assert row.issue_pr_urls == [run.pr_url for run in done]
    assert [run.pr_status for run in done] == [PrStatus.created] * row.count
    bases = ["main", *(run.branch_name for run in done)]
    pulls = {pull["html_url"]: pull for run in done for pull in await pulls_of(site, run)}
    assert len(pulls) == row.count
    for place, run in enumerate(done):
        pull = pulls[run.pr_url]
        assert (run.base_branch, pull["base"]["ref"]) == (bases[place], bases[place])  # type: ignore[index]
        assert git(site, run, "show", f"{run.branch_name}:log.txt") == "done\n" * (place + 1)
        assert git(site, run, "rev-list", "--count", f"{bases[place]}..{run.branch_name}") == "1\n"
    for issue, run in zip(await issues_of(site, row), done, strict=True):
        assert (issue.status, issue.run_id) == (IssueStatus.completed, run.id)
    events = await events_of(site, chain.id)
    assert events.count("chain.issue-completed") == row.count
    assert events[-1] == "chain.ended"
    assert (await told(site, row)).count(NotificationType.workflow_completed) == 1
    return done


async def test_each_issue_is_worked_on_on_top_of_the_last(site: Installation) -> None:
    chain = await start(site, await a_chain(site, WORKED, WORKED, WORKED))
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    first, *_ = await holds(site, chain)
    assert (first.source, first.name) == ("work_chain", "Issue 1")
    assert first.prompt == f"Do part 1: {WORKED}"
    assert await events_of(site, chain.id) == [
        "chain.started",
        *["chain.issue-started", "chain.issue-completed"] * 3,
        "chain.ended",
    ]
    [issue, *_] = await issues_of(site, chain)
    assert await events_of(site, issue.id) == ["issue.running", "issue.completed"]


@pytest.mark.soak
async def test_a_run_that_changed_nothing_passes_its_base_on(site: Installation) -> None:
    chain = await a_chain(site, NOTHING, WORKED, NOTHING, WORKED, branch_name="main")
    await start(site, chain)
    row = await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    none, second, nothing, fourth = await chain_runs(site, chain)
    assert [run.base_branch for run in (none, second)] == ["main", "main"]
    assert [run.base_branch for run in (nothing, fourth)] == [second.branch_name] * 2
    assert row.issue_pr_urls == [None, second.pr_url, None, fourth.pr_url]
    assert git(site, fourth, "show", f"{fourth.branch_name}:log.txt") == "done\ndone\n"
    assert {issue.status for issue in await issues_of(site, chain)} == {IssueStatus.completed}


@pytest.mark.soak
async def test_paused_by_a_signal_it_holds_over_a_restart_and_goes_on(parts: Servers, tmp_path: Path) -> None:
    """As from the Web UI and the command line; the active issue finishes first."""
    async with open_installation(parts, "issue-pause", tmp_path / "site") as site:
        worker = await site.start_worker()
        chain = await start(site, await a_chain(site, SLOWLY, SLOWLY))
        await wait_for_started_runs(site, chain, 1)
        await site.client.get_workflow_handle(chain.id).signal("pause")
        await wait_for_status(site, chain, ChainStatus.paused)
        await worker.stop()
        await site.start_worker()
        [run] = await chain_runs(site, chain)
        assert (await site.ended(run)).status is RunStatus.completed
        await asyncio.sleep(1)
        assert len(await chain_runs(site, chain)) == 1
        await site.client.get_workflow_handle(chain.id).signal("resume")
        await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
        await holds(site, chain)


@pytest.mark.soak
async def test_a_chain_survives_the_kills_of_its_worker(parts: Servers, tmp_path: Path) -> None:
    async with open_installation(parts, "issue-kills", tmp_path / "site") as site:
        worker = await site.start_worker()
        chain = await start(site, await a_chain(site, WORKED, WORKED, WORKED))
        for count in (1, 2, 3):
            await wait_for_started_runs(site, chain, count)
            await worker.stop(patience=0.0)
            worker = await site.start_worker()
        await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
        await holds(site, chain)
        assert len(await chain_runs(site, chain)) == 3


async def test_failed_at_an_issue_it_is_started_again_from_there(site: Installation) -> None:
    chain = await start(site, await a_chain(site, SLOWLY, SLOWLY, SLOWLY))
    await wait_for_started_runs(site, chain, 2)
    second = (await chain_runs(site, chain))[1]
    await site.handle(second).cancel()
    failed = await wait_for_status(site, chain, ChainStatus.failed)
    assert (failed.error_code, failed.current_issue_index) == ("ISSUE_FAILED", 1)
    assert f"Run {second.run_number} on issue index 1, “Issue 2”" in (failed.error_message or "")
    statuses = [issue.status for issue in await issues_of(site, chain)]
    assert statuses == [IssueStatus.completed, IssueStatus.failed, IssueStatus.new]
    assert (await told(site, chain))[-1] is NotificationType.run_failed
    async with site.database.transaction() as session:
        (await session.get_one(WorkChain, chain.id, with_for_update=True)).request_start()
    again = await read(site, chain)
    assert (again.status, again.temporal_workflow_id) == ("pending", f"{chain.id}.2")
    await start(site, again)
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    await holds(site, chain)
    assert len(await chain_runs(site, chain)) == 4


async def test_cancelled_it_cancels_the_run_at_work(site: Installation) -> None:
    chain = await start(site, await a_chain(site, SLOWLY, SLOWLY))
    await wait_for_started_runs(site, chain, 1)
    await site.client.get_workflow_handle(chain.id).cancel()
    row = await wait_for_status(site, chain, *(status for status in ChainStatus if status.is_final))
    assert (row.status, row.error_code) == (ChainStatus.cancelled, None)
    [run] = await chain_runs(site, chain)
    assert run.status is RunStatus.cancelled
    assert await site.sandboxes.find({"run": run.id}) == []
    assert [issue.status for issue in await issues_of(site, chain)] == [IssueStatus.failed, IssueStatus.new]
    assert await told(site, chain) == []


async def test_a_chain_whose_workflow_is_gone_fails_with_a_reason(site: Installation) -> None:
    chain = await a_chain(site, WORKED)
    async with site.database.transaction() as session:
        (await session.get_one(Blueprint, chain.workflow_id)).trash()
    await start(site, chain)
    failed = await wait_for_status(site, chain, ChainStatus.failed)
    assert (failed.error_code, failed.error_message) == ("NOT_FOUND", "Workflow not found.")
    assert await chain_runs(site, chain) == []
    assert await told(site, chain) == [NotificationType.run_failed]


async def test_a_chain_left_pending_is_started_by_the_sweep(site: Installation) -> None:
    chain, unasked = await a_chain(site, WORKED), await a_chain(site, WORKED, asked_at=None)
    await site.client.get_schedule_handle(START_SCHEDULE).trigger()
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    await holds(site, chain)
    assert (await read(site, unasked)).status is ChainStatus.pending


async def test_a_long_chain_goes_on_in_a_new_workflow(
    parts: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggest_continue_as_new_after(FEW_EVENTS, monkeypatch, "WorkChain")
    async with open_installation(parts, "issue-continued", tmp_path / "site") as site:
        main, agents, *_ = build_workers(site.client, site.settings, site.database)
        async with main, agents:
            chain = await start(site, await a_chain(site, WORKED, WORKED, WORKED))
            await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
            await holds(site, chain)
            description = await site.client.get_workflow_handle(chain.id).describe()
        assert description.raw_description.workflow_execution_info.first_run_id != description.run_id
