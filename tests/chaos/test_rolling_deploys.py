"""Deploys over work in flight: runs, chains and answering sessions survive them, and their rollbacks."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType

from models import AnsweringSession, Run, SprintChain
from models.chains.chain import ChainStatus
from models.event import EventType as Happening
from models.issues.answering_session import AnsweringStatus
from models.runs.run import PrStatus, RunStatus
from tests.chaos.source_checkouts import PATCHED, UNPATCHED, Checkout, check_out, replace
from tests.integration.chains import test_sprint_chains as sprints
from tests.integration.issues import test_answering_sessions as answers
from tests.support import chains
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.outcomes import outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay
from tests.support.stack import Servers

SLOW = register_scenario(
    "deployed",
    with_delay(bash("echo first >> count.txt"), 3),
    with_delay(bash("echo second >> count.txt"), 3),
    with_delay(bash("echo third >> count.txt"), 3),
    finish("Counted to three."),
)
PATIENCE = 600
HELD = {"WORKFLOW_PATCHES_UNTIL": "0.1.0"}
"""The new version with the old commands: what both can take over from each other."""
pytestmark = pytest.mark.soak


@dataclass(frozen=True)
class Work:
    """In flight for as long as a test wishes: a run that is held after its first turn, a chain that is held
    after its first sprint, a session that waits for reviews."""

    site: Installation
    run: Run
    chain: SprintChain
    session: AnsweringSession

    @property
    def ids(self) -> list[str]:
        return [self.run.id, self.chain.id, self.session.id]

    async def finish_chain(self) -> None:
        await self.site.client.get_workflow_handle(self.chain.id).signal("resume")
        await chains.wait_for_status(
            self.site, self.chain, ChainStatus.completed, ChainStatus.failed, patience=PATIENCE
        )
        await sprints.holds(self.site, self.chain, 2)

    async def finish_run(self) -> None:
        await self.site.command(self.run, "resume")
        await counted(self.site, self.run)

    async def finish_session(self) -> None:
        await answers.reviewed(self.site, self.session)
        await answers.reaches(
            self.site, self.session, AnsweringStatus.completed, AnsweringStatus.failed, patience=PATIENCE
        )
        await answers.holds(self.site, self.session)

    async def finish_all(self) -> None:
        await asyncio.gather(self.finish_run(), self.finish_chain(), self.finish_session())


async def in_flight(site: Installation) -> Work:
    session = await answers.a_session(site)
    chain = await chains.start(site, await sprints.a_chain(site, 2, sprints.SLOW))
    await chains.wait_for_started_runs(site, chain, 1)
    await site.client.get_workflow_handle(chain.id).signal("pause")
    run = await a_run(site)
    await site.command(run, "pause")
    await answers.reaches(site, session, AnsweringStatus.active, patience=PATIENCE)
    [sprint] = await chains.chain_runs(site, chain)
    assert (await site.ended(sprint, PATIENCE)).status is RunStatus.completed
    return Work(site, run, chain, session)


async def a_run(site: Installation) -> Run:
    """A run that has taken its first turn."""
    run = await site.start(f"Count {SLOW}")
    await site.until(run, Happening.turn_completed, patience=PATIENCE)
    return run


async def counted(site: Installation, run: Run) -> None:
    outcome = await outcome_of(site, run, PATIENCE)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("count.txt") == "first\nsecond\nthird\n"
    assert len(outcome.pulls) == 1
    assert len(outcome.calls) == 4


async def patches(site: Installation, workflow_id: str) -> int:
    """How many new commands its history has begun with."""
    history = await site.client.get_workflow_handle(workflow_id).fetch_history()
    markers = [e for e in history.events if e.event_type == EventType.EVENT_TYPE_MARKER_RECORDED]
    return sum(e.marker_recorded_event_attributes.marker_name == "core_patch" for e in markers)


async def builds(site: Installation, workflow_id: str) -> set[str]:
    """Which versions have worked on it."""
    history = await site.client.get_workflow_handle(workflow_id).fetch_history()
    return {
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        or event.workflow_task_completed_event_attributes.worker_version.build_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    }


async def is_suspended(site: Installation, workflow_id: str) -> bool:
    """Whether its task has failed and is tried again."""
    description = (await site.client.get_workflow_handle(workflow_id).describe()).raw_description
    return description.pending_workflow_task.attempt >= 2


async def goes_on(site: Installation, workflow_id: str) -> bool:
    """Whether no task of it waits any more."""
    description = (await site.client.get_workflow_handle(workflow_id).describe()).raw_description
    return not description.HasField("pending_workflow_task")


async def suspended(work: Work) -> None:
    """Give each of them something to do: it stands still, and its row says what it said."""
    site = work.site
    for each in work.ids:
        await site.client.get_workflow_handle(each).signal("one-that-no-version-heeds")
    for each in work.ids:
        await wait_until(partial(is_suspended, site, each), f"{each} is suspended", PATIENCE)
    assert (await site.read(work.run)).status is RunStatus.paused
    assert (await chains.read(site, work.chain)).status is ChainStatus.paused
    assert (await answers.read(site, work.session)).status is AnsweringStatus.active


async def healed(work: Work) -> None:
    for each in work.ids:
        await wait_until(partial(goes_on, work.site, each), f"{each} goes on", PATIENCE)


@asynccontextmanager
async def deploying(
    parts: Servers, directory: Path, calls: str
) -> AsyncIterator[tuple[Installation, Checkout, Checkout]]:
    """A site without a worker, the version of today, and one whose workflows call activities differently."""
    old = check_out("old", directory / "old")
    new = check_out("new", directory / "new", calls)
    async with open_installation(parts, directory.name.replace("_", "-"), directory / "site") as site:
        yield site, old, new


async def test_a_patched_change_survives_a_rolling_deploy_and_its_rollback(
    parts: Servers, tmp_path: Path
) -> None:
    async with deploying(parts, tmp_path, PATCHED) as (site, old, new):
        worker = await old.start_worker(site)
        work = await in_flight(site)
        beside = await new.start_worker(site, **HELD)
        mixed = await a_run(site)
        await counted(site, mixed)
        assert await builds(site, mixed.id) == {"old", "new"}, "both were at work on it"
        await work.finish_chain()
        beside.send(signal.SIGTERM)
        assert await beside.ended(PATIENCE), "the deploy is rolled back"
        beside = await replace(site, worker, new, **HELD)
        assert [await patches(site, each) for each in (*work.ids, mixed.id)] == [0, 0, 0, 0]
        worker = await replace(site, beside, new)
        begun = await a_run(site)
        assert await patches(site, begun.id) > 0, "the new commands are begun with"
        await work.finish_run()
        assert await patches(site, work.run.id) > 0, "also by what was in flight"
        await replace(site, worker, new, **HELD)
        await counted(site, begun)
        await work.finish_session()
        assert await patches(site, work.session.id) == 0, "the new commands are held again"


async def test_what_has_begun_with_new_commands_waits_for_code_that_knows_them(
    parts: Servers, tmp_path: Path
) -> None:
    async with deploying(parts, tmp_path, PATCHED) as (site, old, new):
        worker = await new.start_worker(site)
        work = await in_flight(site)
        worker = await replace(site, worker, old)
        await suspended(work)
        await counted(site, await a_run(site))
        await replace(site, worker, new)
        await healed(work)
        await work.finish_all()


async def test_an_unpatched_change_suspends_what_is_in_flight_and_a_rollback_heals_it(
    parts: Servers, tmp_path: Path
) -> None:
    async with deploying(parts, tmp_path, UNPATCHED) as (site, old, new):
        worker = await old.start_worker(site)
        work = await in_flight(site)
        worker = await replace(site, worker, new)
        await suspended(work)
        await replace(site, worker, old)
        await healed(work)
        await work.finish_all()
