"""Workers and programs that look at the wrong place: they touch nothing, and say why."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import PostgresDsn
from sqlalchemy import update
from sqlmodel import col
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.gateway_factory import GatewayFactory
from activities.jobs.launch import RunInput, build_run_start
from activities.reconcile.admission import (
    RECONCILE_REFUSED,
    RECONCILE_SCHEDULE,
    NamespaceTaken,
    claim_namespace,
    namespace_owner,
)
from activities.reconcile.executions import workflow_status
from activities.reconcile.findings import GRACE, Inconsistency
from activities.reconcile.reconciler import FOREIGN_ROW, Group, GroupOrder, Reconciler
from activities.reconcile.reports import SweepOrder
from activities.reconcile.start_sweep import StartSweepActivities
from api.temporal import TemporalGateway
from kit.errors import Unavailable
from kit.ids import new_id
from kit.settings import Settings
from kit.temporal import INSTALLATION, connect
from models import Run, SprintChain
from models.base import now
from models.chains.chain import ChainStatus
from models.event import EventType
from models.jobs.job_registry import RUN_WORKFLOW
from models.reconcile.installation import Installation, get_installation
from models.reconcile.sweep import Sweep, SweepName, load_sweeps
from models.runs.run import RunStatus
from tests.integration.chains import test_sprint_chains as sprints
from tests.support import chains
from tests.support.inconsistencies import SLOW_WORK, WORK, find_finding
from tests.support.installation import Installation as Site
from tests.support.installation import open_installation, wait_until
from tests.support.stack import Servers

LONG_AGO = timedelta(days=2)


async def a_paused_run(site: Site) -> Run:
    run = await site.start(f"Held {SLOW_WORK}")
    await site.until(run, EventType.step_started)
    await site.command(run, "pause")
    await site.until(run, EventType.run_paused)
    return run


async def be_silent(site: Site, run: Run, chain: SprintChain | None = None) -> None:
    """As if nothing had been heard of them for days."""
    long_ago = now() - LONG_AGO
    quiet = {"created_at": long_ago, "started_at": long_ago}
    async with site.database.transaction() as session:
        silent = update(Run).where(col(Run.id) == run.id).values(**quiet, last_progress_at=long_ago)
        await session.execute(silent)
        if chain is not None:
            await session.execute(update(SprintChain).where(col(SprintChain.id) == chain.id).values(**quiet))


async def installation_of(site: Site) -> Installation:
    async with site.database.transaction() as session:
        return await get_installation(session)


async def sweep_of(site: Site, name: SweepName) -> Sweep | None:
    async with site.database.transaction() as session:
        return (await load_sweeps(session)).get(name)


async def until_swept(site: Site, name: SweepName = SweepName.reconcile) -> Sweep:
    """The record of a sweep that began after now."""
    before = now()

    async def swept() -> bool:
        with suppress(RPCError):  # its worker has not made the schedule yet
            await site.client.get_schedule_handle(RECONCILE_SCHEDULE).trigger()
        sweep = await sweep_of(site, name)
        return sweep is not None and sweep.ended_at > before

    await wait_until(swept, f"the sweep {name} is recorded")
    sweep = await sweep_of(site, name)
    assert sweep is not None
    return sweep


def orders(site: Site) -> list[GroupOrder]:
    return [GroupOrder(installation=site.installation, group=group) for group in Group]


async def test_a_worker_in_another_namespace_refuses_to_sweep_and_says_why(
    parts: Servers, tmp_path: Path
) -> None:
    """The third experiment of the review: a healthy run and a chain, both paused, and a typo."""
    async with open_installation(parts, "right", tmp_path / "site") as site:
        await parts.make_namespace("wrong")
        await site.start_worker()
        run = await a_paused_run(site)
        chain = await chains.start(site, await sprints.a_chain(site, 2, sprints.SLOW))
        await chains.wait_for_started_runs(site, chain, 1)
        await site.client.get_workflow_handle(chain.id).signal("pause")
        await chains.wait_for_status(site, chain, ChainStatus.paused)
        await be_silent(site, run, chain)

        await site.start_worker(TEMPORAL_NAMESPACE="wrong")

        async def refused() -> bool:
            return (await installation_of(site)).refusal is not None

        await wait_until(refused, "the second worker refuses")
        refusal = (await installation_of(site)).refusal or ""
        assert "are in the Temporal namespace right, and this process is configured for wrong" in refusal
        assert "reconcile.refused" in site.log.read_text()

        elsewhere = await connect(
            site.settings.model_copy(update={"temporal_namespace": "wrong"}), site.installation
        )
        assert await namespace_owner(elsewhere) is None, "it has made no schedule there"
        reconciler = Reconciler(site.database, elsewhere, GatewayFactory(site.settings, site.database))
        for order in orders(site):
            with pytest.raises(ApplicationError) as raised:
                await reconciler.reconcile(order)
            assert raised.value.type == RECONCILE_REFUSED

        sweep = await until_swept(site)
        assert sweep.problem is None, "the installation's own sweeps go on"
        assert (await site.read(run)).status is RunStatus.paused
        assert (await chains.read(site, chain)).status is ChainStatus.paused
        await site.command(run, "resume")
        await site.client.get_workflow_handle(chain.id).signal("resume")
        assert (await site.ended(run)).status is RunStatus.completed
        await chains.wait_for_status(site, chain, ChainStatus.completed)


@pytest.mark.soak
async def test_an_api_that_starts_before_the_first_worker_keeps_no_wrong_namespace(
    parts: Servers, tmp_path: Path
) -> None:
    async with open_installation(parts, "late", tmp_path / "site", is_bound=False) as site:
        await parts.make_namespace("late-typo")
        typo = TemporalGateway(
            site.settings.model_copy(update={"temporal_namespace": "late-typo"}), site.database
        )
        engine = TemporalGateway(site.settings, site.database)
        for early in (engine, typo):
            with pytest.raises(Unavailable, match="No worker of this server has started yet"):
                await early.check_reachable()

        await site.start_worker()

        async def is_bound() -> bool:
            return (await installation_of(site)).is_bound

        await wait_until(is_bound, "the first worker binds the namespace")
        await engine.check_reachable()
        with pytest.raises(Unavailable, match="a Temporal namespace that is not its own"):
            await typo.check_reachable()


async def test_two_databases_on_one_namespace_do_no_harm(parts: Servers, tmp_path: Path) -> None:
    async with open_installation(parts, "first", tmp_path / "site") as site:
        await parts.make_database("second")
        await site.start_worker()
        run = await a_paused_run(site)
        await be_silent(site, run)
        second = await site.start_worker(DATABASE_URL=parts.database_url("second"))

        async def is_gone() -> bool:
            return not second.is_alive

        await wait_until(is_gone, "the worker with the other database leaves")
        assert "worker.refused" in site.log.read_text()
        assert f"belongs to installation {site.installation}" in site.log.read_text()
        await until_swept(site)
        assert await workflow_status(site.client, run.id) is WorkflowExecutionStatus.RUNNING
        await site.command(run, "resume")
        assert (await site.ended(run)).status is RunStatus.completed


async def test_a_sweep_of_another_installation_is_refused(site: Site) -> None:
    """As when a worker with another database takes over what the schedule has started."""
    order = SweepOrder(installation=new_id("ins"))
    for act in (StartSweepActivities(site.database, site.client).start_unstarted_rows,):
        with pytest.raises(ApplicationError, match="This sweep is that of ins_"):
            await act(order)


async def test_workflows_of_others_are_no_business_of_ours(site: Site) -> None:
    """One of type `Run` that another program has started, and one of ours that no row knows."""
    unknown = RunInput(run_id=new_id("r"), project_id="p", number=1, name="n", repository="o/r")
    foreign = unknown.model_copy(update={"run_id": new_id("r")})
    stranger = await connect(site.settings)
    for client, told in ((site.client, unknown), (stranger, foreign)):
        await client.start_workflow(
            RUN_WORKFLOW,
            told,
            id=told.run_id,
            task_queue="nobody",
            search_attributes=build_run_start(told).search_attributes,
        )

    async def is_listed() -> bool:
        return await find_finding(site, Inconsistency.orphaned_workflow, unknown.run_id) is not None

    await wait_until(is_listed, "the unknown one is listed")
    found = await find_finding(site, Inconsistency.orphaned_workflow, unknown.run_id)
    assert found is not None
    assert (found.needs_doctor, "no row knows of it" in found.what) == (True, True)
    assert await find_finding(site, Inconsistency.orphaned_workflow, foreign.run_id) is None
    reconciler = Reconciler(site.database, site.client, GatewayFactory(site.settings, site.database))
    await reconciler.reconcile(GroupOrder(installation=site.installation, group=Group.workflows))
    for each in (unknown.run_id, foreign.run_id):
        handle = site.client.get_workflow_handle(each)
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        await handle.terminate("the test is over")


async def test_everything_that_is_started_carries_the_installations_id(site: Site) -> None:
    """A run, the session that is its child, and a run that is a chain's child."""
    run = await site.start(f"Carries it {WORK}")
    chain = await chains.start(site, await sprints.a_chain(site, 1))
    await site.ended(run)
    await chains.wait_for_status(site, chain, ChainStatus.completed)
    [sprint] = await chains.chain_runs(site, chain)

    async def are_listed() -> bool:
        query = f"Installation = '{site.installation}' AND CourierRunId IN ('{run.id}', '{sprint.id}')"
        kinds = [each.workflow_type async for each in site.client.list_workflows(query)]
        return sorted(kinds) == ["AgentSession", "AgentSession", "Run", "Run"]

    await wait_until(are_listed, "they are found by the installation")
    described = await site.client.get_schedule_handle(RECONCILE_SCHEDULE).describe()
    assert described.typed_search_attributes.get(INSTALLATION) == site.installation
    assert (await site.read(sprint)).temporal_namespace == (await chains.read(site, chain)).temporal_namespace


async def test_rows_of_another_namespace_are_passed_over_until_it_is_said_to_be_gone(
    parts: Servers, tmp_path: Path
) -> None:
    async with open_installation(parts, "moved", tmp_path / "site") as site:
        run = await site.accept(f"Was started elsewhere {WORK}")
        async with site.database.transaction() as session:
            row = await session.get_one(Run, run.id)
            row.mark_started()
            row.temporal_namespace = "old"
        await be_silent(site, run)
        reconciler = Reconciler(site.database, site.client, GatewayFactory(site.settings, site.database))
        report = await reconciler.reconcile(GroupOrder(installation=site.installation, group=Group.workflows))
        assert report.found[FOREIGN_ROW].found == 1
        assert (await site.read(run)).status is RunStatus.running
        assert await find_finding(site, Inconsistency.abandoned_row, run.id, GRACE) is None
        found = await find_finding(site, Inconsistency.abandoned_row, run.id, GRACE, gone=("old",))
        assert found is not None


async def test_a_claim_moves_an_installation_and_never_silently_takes_a_namespace(
    parts: Servers, tmp_path: Path
) -> None:
    async with open_installation(parts, "claimed", tmp_path / "site") as site:
        await parts.make_namespace("claimed-next")
        await parts.make_database("claiming")
        await site.start_worker()
        await until_swept(site)
        moved: Settings = site.settings.model_copy(update={"temporal_namespace": "claimed-next"})
        assert await claim_namespace(moved, copy=False, take_over=False) == site.installation
        assert (await installation_of(site)).temporal_namespace == "claimed-next"

        other = site.settings.model_copy(update={"database_url": PostgresDsn(parts.database_url("claiming"))})
        with pytest.raises(NamespaceTaken, match="belongs to installation"):
            await claim_namespace(other, copy=False, take_over=False)
        assert await namespace_owner(site.client) == site.installation
        await claim_namespace(other, copy=False, take_over=True)
        assert await namespace_owner(site.client) is None, "its next worker makes the schedules anew"
