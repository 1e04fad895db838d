"""The sweeps: each row by itself, stopped when it is too much, never held up by somebody else's system."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from sqlmodel import col
from temporalio.client import Client, WorkflowExecutionStatus

from activities.gateway_factory import GatewayFactory
from activities.jobs.launch import start_row
from activities.reconcile import sandbox_accounts, unstarted_rows
from activities.reconcile.executions import workflow_status
from activities.reconcile.findings import GRACE, MAX_DOUBTFUL, MIN_DOUBTFUL, Inconsistency, is_unusual
from activities.reconcile.orphaned_workflows import OrphanedWorkflows
from activities.reconcile.reconciler import Group, GroupOrder, Reconciler
from activities.reconcile.reports import SweepOrder, SweepResult
from activities.reconcile.sandbox_accounts import Account, SandboxAccounts
from activities.reconcile.start_sweep import OUTDATED_SCHEDULE, UNSTARTED_ROW, StartSweepActivities
from activities.reconcile.unsettled_pull_requests import UnsettledPullRequests
from activities.schedules.recurring_tasks import Firing, RecurringTaskActivities
from activities.schedules.temporal_schedule import list_firings, sync_temporal_schedule
from gateways.errors import GatewayError
from gateways.sandboxes.control import SandboxProvider
from kit.ids import new_id
from kit.temporal import MAX_SUMMARY_BYTES, truncate_summary
from local.stack.ports import free_ports
from models import Effect, Event, Member, MergeJob, RecurringTask, Run
from models.base import now
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.effect import FIRST_RETRY_DELAY, MAX_ATTEMPTS, EffectKind
from models.event import EventType
from models.jobs.job_registry import PULL_REQUEST_MERGE_WORKFLOW, RUN_WORKFLOW, WorkflowRow
from models.merging.merge_job import MergeKind, MergeStatus
from models.reconcile.sweep import SweepName, load_sweeps
from models.runs.run import PrStatus, RunStatus
from tests.integration.schedules.test_recurring_tasks import a_task, read, runs_of
from tests.support.inconsistencies import WORK, find_all, find_finding, repair_once
from tests.support.installation import Installation, open_installation
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

LONG_AGO = timedelta(days=2)
LONG_NAME = "修" * 200
"""600 bytes, and within what the API takes."""


def reconciler(site: Installation) -> Reconciler:
    return Reconciler(site.database, site.client, GatewayFactory(site.settings, site.database))


def starting(site: Installation) -> StartSweepActivities:
    return StartSweepActivities(site.database, site.client)


def order(site: Installation) -> SweepOrder:
    return SweepOrder(installation=site.installation)


async def be_old(site: Installation, *ids: str) -> None:
    async with site.database.transaction() as session:
        for each in ids:
            (await session.get_one(Run, each)).created_at = now() - LONG_AGO


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """Takes every connection and never says a word; its address, and who has called."""
    callers: list[asyncio.StreamWriter] = []

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer)
        await asyncio.sleep(600)

    port = free_ports(1)[0]
    server = await asyncio.start_server(keep, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{port}", callers
    finally:
        for writer in callers:
            writer.close()
        server.close()


async def test_one_row_that_cannot_be_started_does_not_stop_the_others(
    parts: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_installation(parts, "one-bad-row", tmp_path / "site") as site:
        runs = [await site.accept(f"Number {number} {WORK}") for number in range(3)]
        await be_old(site, *(run.id for run in runs))
        bad = runs[0].id

        async def start(client: Client, row: WorkflowRow) -> None:
            if row.id == bad:
                raise KeyError("a column that no version of us knows")
            await start_row(client, row)

        monkeypatch.setattr(unstarted_rows, "start_row", start)
        report = await starting(site).start_unstarted_rows(order(site))
        tally = report.found[UNSTARTED_ROW]
        assert (tally.found, tally.repaired, tally.left, report.problem) == (3, 2, 1, None)
        assert [await workflow_status(site.client, run.id) is not None for run in runs] == [False, True, True]

        monkeypatch.undo()
        await starting(site).start_unstarted_rows(order(site))
        assert await workflow_status(site.client, bad) is WorkflowExecutionStatus.RUNNING
        assert (await site.read(runs[0])).temporal_namespace == site.client.namespace


async def test_a_name_and_a_label_of_600_bytes_start_and_end(site: Installation) -> None:
    """The first experiment of the review: Temporal takes 400 bytes of a summary."""
    step = PipelineStep(role=StepRole.designer, label=LONG_NAME)
    run = await site.start(f"Named at length {WORK}", [step], name=LONG_NAME)
    assert (await site.ended(run)).status is RunStatus.completed
    summary = await (await site.handle(run).describe()).static_summary()
    assert summary is not None
    assert len(summary.encode()) <= MAX_SUMMARY_BYTES
    assert summary.endswith("修…")


def test_a_summary_is_cut_between_characters() -> None:
    assert truncate_summary("short") == "short"
    for text in (LONG_NAME, "x" + LONG_NAME, "xy" + LONG_NAME, "é" * 150):
        cut = truncate_summary(text)
        assert len(cut.encode()) <= MAX_SUMMARY_BYTES
        assert text.startswith(cut.removesuffix("…"))


@pytest.mark.parametrize(
    ("doubtful", "examined", "unusual"),
    [
        (0, 0, False),
        (MIN_DOUBTFUL - 1, MIN_DOUBTFUL - 1, False),
        (MIN_DOUBTFUL, MIN_DOUBTFUL, True),
        (MIN_DOUBTFUL, 100, False),
        (MAX_DOUBTFUL, 1_000, False),
        (MAX_DOUBTFUL + 1, 100_000, True),
    ],
)
def test_what_is_unusual(doubtful: int, examined: int, unusual: bool) -> None:
    assert is_unusual(doubtful, examined) is unusual


async def test_the_breaker_leaves_unusually_many_abandoned_rows_to_the_doctor(
    parts: Servers, tmp_path: Path
) -> None:
    """As after the namespace was lost: what was at work is gone all at once."""
    async with open_installation(parts, "breaker", tmp_path / "site") as site:
        like = await site.accept(f"Lost with its namespace {WORK}")
        async with site.database.transaction() as session:
            for number in range(2, MIN_DOUBTFUL + 2):
                copy = like.model_dump(exclude={"id", "run_number", "unique_key", "status", "created_at"})
                long_ago = {"created_at": now() - LONG_AGO, "started_at": now() - LONG_AGO}
                row = Run(**(copy | long_ago), id=new_id("r"), run_number=number, status=RunStatus.paused)
                session.add(row)
        workflows = GroupOrder(installation=site.installation, group=Group.workflows)
        report = await reconciler(site).reconcile(workflows)
        tally = report.found[Inconsistency.abandoned_row]
        assert (tally.found, tally.repaired, tally.left) == (MIN_DOUBTFUL, 0, MIN_DOUBTFUL)
        assert "codecourier doctor --repair" in (report.problem or "")
        paused = await site.rows(Run, col(Run.status) == RunStatus.paused, col(Run.id))
        assert len(paused) == MIN_DOUBTFUL

        end = SweepResult(installation=site.installation, name=SweepName.reconcile, report=report)
        await reconciler(site).record_sweep(end)
        async with site.database.transaction() as session:
            sweep = (await load_sweeps(session))[SweepName.reconcile]
        assert (sweep.good_at, sweep.is_stale) == (None, True)
        assert sweep.found == {"abandoned row": {"found": MIN_DOUBTFUL, "repaired": 0, "left": MIN_DOUBTFUL}}

        for run in paused:
            assert await repair_once(site, Inconsistency.abandoned_row, run.id)
        again = await reconciler(site).reconcile(workflows)
        await reconciler(site).record_sweep(end.model_copy(update={"report": again}))
        async with site.database.transaction() as session:
            sweep = (await load_sweeps(session))[SweepName.reconcile]
        assert (sweep.problem, sweep.is_stale) == (None, False)


async def test_a_check_that_fails_of_a_bug_does_not_stop_the_others(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: OrphanedWorkflows) -> AsyncIterator[None]:
        for bug in (KeyError("of a bug"),):
            raise bug
        yield

    monkeypatch.setattr(OrphanedWorkflows, "find", fail)
    task = await a_task(site, updated_at=now() - LONG_AGO)
    workflows = GroupOrder(installation=site.installation, group=Group.workflows)
    report = await reconciler(site).reconcile(workflows)
    assert report.problem == "orphaned workflow: KeyError"
    assert (await read(site, task)).told_at is not None, "schedules were looked at after it"


async def test_a_task_that_was_changed_while_temporal_was_away_fires_at_its_new_time_only(
    parts: Servers, tmp_path: Path
) -> None:
    """The ninth experiment of the review; without a worker nothing else tells Temporal."""
    async with open_installation(parts, "changed-task", tmp_path / "site") as site:
        task = await a_task(site)
        await sync_temporal_schedule(site.database, site.client, task.id)
        before = next(task.firings_after(now()))
        async with site.database.transaction() as session:  # what `PUT` leaves when Temporal does not answer
            row = await session.get_one(RecurringTask, task.id)
            row.change(scheduled_hour=(task.scheduled_hour + 3) % 24)
            row.updated_at -= timedelta(minutes=1)
        changed = await read(site, task)
        assert changed.told_at != changed.updated_at
        assert (await list_firings(site.client, task.id, before + timedelta(hours=1)))[:1] == [before]

        activities = RecurringTaskActivities(site.database, site.settings, site.client)
        # Firing tells the schedule, too; that is tried below without it.
        old = Firing(task_id=task.id, occurrence=before)
        assert [await activities.start_due_run(old) for _ in range(2)] == [None, None]
        assert await runs_of(site, task) == []
        of_task = (col(Event.subject_id) == task.id) & (col(Event.type) == EventType.task_not_fired)
        [skipped] = await site.rows(Event, of_task, col(Event.seq))
        assert skipped.data["scheduledFor"] == before.isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        )
        assert (await read(site, task)).last_error is None

        async with site.database.transaction() as session:
            (await session.get_one(RecurringTask, task.id)).told_at = None
        report = await starting(site).update_schedules(order(site))
        assert report.found[OUTDATED_SCHEDULE].repaired == 1
        told = await read(site, task)
        assert told.told_at == told.updated_at
        fires = list(islice(told.firings_after(now()), 3))
        assert await list_firings(site.client, task.id, fires[-1]) == fires
        assert told.next_run_at == fires[0]
        assert (await starting(site).update_schedules(order(site))).found == {}, "nothing is told twice"


async def test_a_merge_that_deletes_its_branch_is_left_alone(site: Installation) -> None:
    """GitHub may make it wait after the row has closed; any other workflow is asked to end by then."""
    run = await site.ended(await site.start(f"Merged {WORK}"))
    [member] = await site.rows(Member, col(Member.project_id) == run.project_id, col(Member.id))
    job = MergeJob(
        project_id=run.project_id,
        run_id=run.id,
        kind=MergeKind.pull_request,
        name="Merge",
        requested_by=member.id,
        github_repo_url=run.github_repo_url,
        repository_slug=run.repository_slug,
    )
    job.close(MergeStatus.completed)
    job.completed_at = now() - timedelta(minutes=10)
    await site.add(job)
    over = await site.accept(f"Over {WORK}")
    async with site.database.transaction() as session:
        row = await session.get_one(Run, over.id)
        row.close(RunStatus.cancelled)
        row.completed_at = now() - timedelta(minutes=10)
    for name, each in ((PULL_REQUEST_MERGE_WORKFLOW, job.id), (RUN_WORKFLOW, over.id)):
        await site.client.start_workflow(name, id=each, task_queue="nobody")
    check = OrphanedWorkflows(site.database, site.client, GRACE)
    reasons = await check._reasons([job.id, over.id])
    assert reasons.keys() == {over.id}
    for each in (job.id, over.id):
        await site.client.get_workflow_handle(each).terminate("the test is over")


async def test_an_account_that_does_not_answer_costs_a_moment_and_hides_no_other(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = site.settings
    assert settings.e2b_api_key is not None
    box = await site.sandboxes.ensure({"job": new_id("r")}, template="base", timeout_seconds=60)
    async with silent_server() as (url, callers):
        key = f"e2b-list:{new_id('test')}"
        own = Account("e2b-list:own", site.sandboxes, is_servers=True)
        dead = Account(key, SandboxProvider("a-key", api_url=url, sandbox_url=url, owner=site.installation))

        async def accounts(*_: object) -> list[Account]:
            return [dead, own]

        monkeypatch.setattr(sandbox_accounts, "load_accounts", accounts)
        monkeypatch.setattr(sandbox_accounts, "LIST_TIMEOUT_SECONDS", 1.0)
        outside = GatewayFactory(settings, site.database)
        look = SandboxAccounts(site.database, outside)
        assert {facts.id for facts in own.listed or ()} == set()
        await look.all()
        assert box.id in {facts.id for facts in own.listed or ()}
        assert dead.fault is not None
        with pytest.raises(GatewayError, match="1 of the accounts at the sandbox provider did not answer"):
            await look.raise_faults()
        called = len(callers)
        assert called == 1
        dead.fault = None
        await SandboxAccounts(site.database, outside).all()
        assert len(callers) == called, "it is left alone for some minutes"
        dead.fault = None
        await SandboxAccounts(site.database, outside, insists=True).all()
        assert len(callers) == called + 1, "an operator asks all the same"
    await site.sandboxes.kill(box.id)


async def test_what_is_accepted_is_started_while_the_sandbox_provider_is_silent(
    parts: Servers, tmp_path: Path
) -> None:
    async with (
        silent_server() as (url, callers),
        open_installation(parts, "silent-e2b", tmp_path / "site") as site,
    ):
        await site.start_worker(E2B_API_URL=url)
        while not callers:  # the sweep that repairs waits for it by now
            await asyncio.sleep(0.1)
        run = await site.accept(f"Left pending {WORK}")
        await be_old(site, run.id)
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            while await workflow_status(site.client, run.id) is None:
                await asyncio.sleep(0.1)


async def test_a_pull_request_that_github_says_nothing_of_is_given_up_in_the_end(
    parts: Servers, tmp_path: Path
) -> None:
    """Asked with growing pauses, so that it eats no rate limit; then the run says that nobody knows."""
    async with open_installation(parts, "silent-github", tmp_path / "site") as site:
        project = await site.project()
        runs = [await site.accept(f"Half made {WORK}", project=project) for _ in range(2)]
        async with site.database.transaction() as session:
            for each in runs:
                row = await session.get_one(Run, each.id)
                row.base_branch, row.branch_name, row.pr_status = "main", "work", PrStatus.creating
                row.close(RunStatus.failed)
                effect = Effect.new_intent(each.id, EffectKind.pull_request)
                effect.intended_at = now() - LONG_AGO
                session.add(effect)
        nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
        settings = site.settings.model_copy(update={"github_api_url": nowhere})
        check = UnsettledPullRequests(site.database, GatewayFactory(settings, site.database), insists=True)
        findings = [finding async for finding in check.find()]
        assert len(findings) == 2
        for finding in findings:
            with pytest.raises(GatewayError, match="cannot be reached"):
                await check.repair(finding)

        effects = await site.rows(Effect, col(Effect.kind) == EffectKind.pull_request, col(Effect.key))
        assert [effect.attempts for effect in effects] == [1, 1]
        assert all(effect.next_attempt_at and effect.next_attempt_at > now() for effect in effects)
        assert max(effect.next_attempt_at or now() for effect in effects) < now() + 2 * FIRST_RETRY_DELAY
        assert await find_all(site, Inconsistency.unsettled_pull_request) == {}, "it is not asked again yet"

        async with site.database.transaction() as session:
            (await session.get_one(Effect, effects[0].key)).attempts = MAX_ATTEMPTS - 1
        given_up = await site.rows(Run, col(Run.id) == effects[0].subject_id, col(Run.id))
        [finding] = [each for each in findings if each.id == given_up[0].id]
        assert await check.repair(finding) == "given up"
        run = await site.read(given_up[0])
        last = (await site.events(run))[-1]
        assert (run.pr_status, last.type) == (PrStatus.failed, EventType.pr_failed)
        assert str(last.data["reason"]).startswith("Whether it was opened could not be found out:")
        assert await find_finding(site, Inconsistency.unsettled_pull_request, run.id) is None
