"""The database is restored from yesterday's dump while Temporal goes on: each row is explained, nothing is
done twice, and what was at work goes on."""

import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from activities.reconcile.executions import CLOSED_STATUSES, workflow_status
from activities.reconcile.findings import Inconsistency
from local.stack.parts import database_url
from local.stack.postgres import program_path
from models import Run
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from tests.support.inconsistencies import find_all, repair_if_found
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.outcomes import outcome_of, pulls_of
from tests.support.scenarios import create, finish, register_scenario, with_delay
from tests.support.stack import Servers

pytestmark = pytest.mark.soak

BRIEF = register_scenario("restored-brief", create("a.txt", "a\n"), finish("Made it."))
LONG = register_scenario(
    "restored-long",
    *(with_delay(create(f"{name}.txt", f"{name}\n"), 2.0) for name in "abcdefgh"),
    finish("Made them."),
)


def dump(site: Installation, file: Path) -> None:
    url = site.parts.database_url(site.name)
    subprocess.run([program_path("pg_dump"), "--format=custom", f"--file={file}", url], check=True)


def restore(site: Installation, file: Path) -> None:
    """Into a database that is made anew."""
    with psycopg.connect(database_url(site.parts.plan), autocommit=True) as connection:
        name = sql.Identifier(site.name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    subprocess.run(
        [program_path("pg_restore"), f"--dbname={site.parts.database_url(site.name)}", str(file)], check=True
    )


@dataclass(frozen=True)
class Restored:
    site: Installation
    done: Run
    """Had opened its pull request before the dump."""
    going: Run
    """Was at work at the dump, and opened its pull request after it."""
    working: Run
    """Was at work at the dump, and is."""
    unknown: Run
    """Began and opened its pull request after the dump."""
    unknown_working: Run
    """Began after the dump, and is at work."""


@pytest.fixture(scope="module")
async def restored(parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Restored]:
    directory = tmp_path_factory.mktemp("restored")
    async with open_installation(parts, "restored", directory / "site") as site:
        worker = await site.start_worker()
        done = (await outcome_of(site, await site.start(f"Done {BRIEF}"))).run
        going, working = [await site.start(f"{name} {LONG}") for name in ("Going", "Working")]
        for run in (going, working):
            await site.until(run, EventType.tool_completed, count=2)
        await site.command(working, "pause")
        dump(site, directory / "dump")
        going = (await outcome_of(site, going)).run
        await site.command(working, "resume")
        await site.until(working, EventType.tool_completed, count=5)
        await site.command(working, "pause")
        unknown = (await outcome_of(site, await site.start(f"Unknown {BRIEF}"))).run
        unknown_working = await site.start(f"Unknown and working {LONG}")
        await site.until(unknown_working, EventType.tool_completed, count=2)
        await site.command(unknown_working, "pause")
        await worker.stop()
        await site.database.close()
        restore(site, directory / "dump")
        yield Restored(site, done, going, working, unknown, unknown_working)


def ids(restored: Restored) -> dict[str, str]:
    """Which run has which id."""
    runs = {"done": restored.done, "going": restored.going, "working": restored.working}
    runs |= {"unknown": restored.unknown, "unknown_working": restored.unknown_working}
    return {run.id: name for name, run in runs.items()}


async def found(restored: Restored, kind: Inconsistency) -> dict[str, str]:
    names = ids(restored)
    findings = await find_all(restored.site, kind)
    return {names[key]: finding.what for key, finding in findings.items() if key in names}


async def test_the_doctor_explains_each_row(restored: Restored) -> None:
    """Before a worker begins: what is at work, and known, is well."""
    assert await found(restored, Inconsistency.abandoned_row) == {
        "going": "This run is running, but its workflow was completed."
    }
    assert await found(restored, Inconsistency.orphaned_workflow) == {
        "unknown_working": "This Run workflow is at work, but no row knows of it."
    }
    sandboxes = await find_all(restored.site, Inconsistency.orphaned_sandbox)
    [orphan] = [each.what for each in sandboxes.values()]
    assert f"its job {restored.unknown_working.id} is unknown" in orphan


async def test_runs_end_as_they_would_have_and_nothing_is_delivered_twice(restored: Restored) -> None:
    site = restored.site
    await _assert_found_again(site, restored.going)
    await _assert_goes_on(site, restored.working)
    await _assert_ended(site, restored.unknown_working)
    for run in (restored.done, restored.going, restored.working, restored.unknown):
        assert len(await pulls_of(site, run)) == 1
    assert await pulls_of(site, restored.unknown_working) == []
    assert await found(restored, Inconsistency.abandoned_row) == {}


async def _assert_found_again(site: Installation, ended: Run) -> None:
    """It ended after the dump: its row learns that, and of its pull request."""
    await repair_if_found(site, Inconsistency.abandoned_row, ended.id)
    await repair_if_found(site, Inconsistency.unsettled_pull_request, ended.id)
    run = await site.read(ended)
    assert (run.status, run.error_code) == (RunStatus.completed, None)
    assert (run.pr_status, run.pr_url) == (PrStatus.created, ended.pr_url)
    kinds = [event.type for event in await site.events(run)]
    assert kinds.count(EventType.pr_created) == kinds.count(EventType.run_completed) == 1


async def _assert_goes_on(site: Installation, working: Run) -> None:
    """The model is asked again for turns that its row does not know; calls are journaled in the sandbox."""
    await site.start_worker()
    await site.command(working, "resume")
    outcome = await outcome_of(site, working)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert [outcome.file(f"{name}.txt") for name in "abcdefgh"] == [f"{name}\n" for name in "abcdefgh"]


async def _assert_ended(site: Installation, unknown: Run) -> None:
    """No row knows of it: the doctor ends it, and kills its sandbox."""
    await repair_if_found(site, Inconsistency.orphaned_workflow, unknown.id)

    async def is_over() -> bool:
        return await workflow_status(site.client, unknown.id) in CLOSED_STATUSES

    await wait_until(is_over, "its workflow is over")
    for finding in (await find_all(site, Inconsistency.orphaned_sandbox)).values():
        await repair_if_found(site, Inconsistency.orphaned_sandbox, finding.id)
    assert await site.sandboxes.find({"job": unknown.id}) == []
