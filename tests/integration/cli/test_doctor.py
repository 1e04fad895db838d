"""`codecourier doctor` on a stack that was damaged on purpose: every kind at once."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest
from pydantic import JsonValue
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec

from activities.reconcile.admission import RECONCILE_SCHEDULE, START_SCHEDULE
from activities.reconcile.findings import Inconsistency
from activities.schedules.temporal_schedule import FIRING_WORKFLOW
from cli.target import settings_of
from gateways.sandboxes.control import SandboxProvider
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from kit.temporal import TASK_QUEUE, connect
from kit.tenancy import DatabaseRole
from models import Effect, Run
from models.effect import EffectKind, effect_key
from models.jobs.job import WORKFLOW_LOST
from models.reconcile.installation import get_installation
from models.runs.run import PrStatus
from models.trash.row_removal import remove_job
from tests.support.detached_stack import ENVIRONMENT, DetachedStack, Json, run_stack

pytestmark = [pytest.mark.stack, pytest.mark.soak]


@dataclass(frozen=True)
class Damaged:
    """Ids of what is damaged, by kind, and of a run that is only held."""

    ids: dict[Inconsistency, str]
    held: str
    pull_request: Json


@pytest.fixture(scope="module")
def stack_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetachedStack]:
    """Everything on it is looked at and repaired: no place for other tests."""
    with run_stack(tmp_path_factory.mktemp("damaged") / "data") as stack:
        yield stack


@pytest.fixture(scope="module")
async def damaged(stack_of_its_own: DetachedStack) -> Damaged:
    """Its sweeps are paused, so that only the doctor repairs."""
    settings = settings_of(stack_of_its_own.directory)
    database = Database(settings.sqlalchemy_url, role=DatabaseRole.worker, pool_size=1)
    try:
        return await _damage(stack_of_its_own, settings, database)
    finally:
        await database.close()


async def _damage(stack: DetachedStack, settings: Settings, database: Database) -> Damaged:
    async with database.transaction() as session:
        installation = await get_installation(session)
    client = await connect(settings, installation.id)
    for schedule in (START_SCHEDULE, RECONCILE_SCHEDULE):
        await client.get_schedule_handle(schedule).pause()
    made = stack.start_run("Opened its pull request, and was killed before that was written down")
    held, lost, deleted = [_held(stack, f"Held: {word}") for word in ("healthy", "lost", "deleted")]
    for run_id in (held, lost, deleted):
        stack.until(run_id, "sandbox.running")
        _rests(stack, run_id)
    pull_request = stack.ended(made)
    await client.get_workflow_handle(lost).terminate()
    async with database.transaction() as session:
        await remove_job(session, await session.get_one(Run, deleted))
        run = await session.get_one(Run, made)
        run.pr_status, run.pr_url, run.pr_number = PrStatus.creating, None, None
        (await session.get_one(Effect, effect_key(made, EffectKind.pull_request))).done_at = None
    ids = {
        Inconsistency.abandoned_row: lost,
        Inconsistency.orphaned_workflow: deleted,
        Inconsistency.orphaned_sandbox: await _a_sandbox(settings, installation.id),
        Inconsistency.schedule: await _a_schedule(client),
        Inconsistency.unsettled_pull_request: made,
    }
    return Damaged(ids, held, pull_request)


def _held(stack: DetachedStack, prompt: str) -> str:
    """A run that is paused as soon as it is there, so that its steps are never over."""
    run_id = stack.start_run(prompt)
    stack.post(f"runs/{run_id}/pause", {})
    return run_id


def _rests(stack: DetachedStack, run_id: str) -> None:
    """Wait until a held run is no longer in the middle of anything."""
    stack.until(run_id, "run.paused")
    events: JsonValue = None
    while (now := stack.get(f"runs/{run_id}/events", follow="false")) != events:
        events = now
        time.sleep(1)


async def _a_sandbox(settings: Settings, owner: str) -> str:
    """One of ours that no job needs, paused."""
    assert settings.e2b_api_key is not None
    sandboxes = SandboxProvider(
        settings.e2b_api_key.get_secret_value(),
        api_url=settings.e2b_api_url,
        sandbox_url=settings.e2b_sandbox_url,
        owner=owner,
    )
    handle = await sandboxes.ensure({"job": new_id("r")}, template="base", timeout_seconds=300)
    await sandboxes.pause(handle.id)
    return handle.id


async def _a_schedule(client: Client) -> str:
    """That of a recurring task which is gone."""
    task_id = new_id("rt")
    action = ScheduleActionStartWorkflow(FIRING_WORKFLOW, task_id, id=task_id, task_queue=TASK_QUEUE)
    await client.create_schedule(task_id, Schedule(action=action, spec=ScheduleSpec()))
    return task_id


def doctor(stack: DetachedStack, *words: str) -> tuple[int, str]:
    """Its exit status and what it printed."""
    command = [sys.executable, "-m", "cli.main", "doctor", "--data", str(stack.directory), *words]
    ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.stderr == ""
    assert "\x1b" not in ran.stdout, "plain lines in a pipe"
    secrets = {path.name: path.read_text().strip() for path in (stack.directory / "keys").iterdir()}
    secrets["database"] = stack.file.database_url.split(":")[2].split("@")[0]
    assert [name for name, secret in secrets.items() if secret in ran.stdout] == []
    return ran.returncode, ran.stdout


async def test_it_finds_each_repairs_each_and_is_clean_on_the_second_run(
    stack_of_its_own: DetachedStack, damaged: Damaged
) -> None:
    stack = stack_of_its_own
    await asyncio.to_thread(_listed, stack, damaged)
    status, said = await asyncio.to_thread(doctor, stack, "--repair", "--grace", "0")
    assert status == 0, said
    lines = said.splitlines()
    for kind, thing in damaged.ids.items():
        assert any(line.startswith(kind) and thing in line for line in lines), (kind, said)
        assert any(line.startswith("repaired") and thing in line for line in lines), (kind, said)
    assert "Everything is repaired" in said
    assert damaged.held not in said

    status, said = await asyncio.to_thread(doctor, stack, "--grace", "0")
    assert (status, said.splitlines()[-1]) == (0, "Nothing is wrong."), said

    lost = stack.run(damaged.ids[Inconsistency.abandoned_row])
    assert (lost["status"], cast("Json", lost["error"])["code"]) == ("failed", WORKFLOW_LOST)
    made = stack.run(damaged.ids[Inconsistency.unsettled_pull_request])
    for field in ("prStatus", "prUrl", "prNumber"):
        assert made[field] == damaged.pull_request[field]
    assert stack.run(damaged.held)["status"] == "paused", "what is healthy is left alone"
    stack.post(f"runs/{damaged.held}/resume", {})
    assert stack.ended(damaged.held)["status"] == "completed"


def _listed(stack: DetachedStack, damaged: Damaged) -> None:
    """Without `--repair` it only says what is wrong."""
    status, said = doctor(stack, "--grace", "0")
    assert status == 1
    for part in ("database", "schema", "temporal", "sandboxes", "github", "model"):
        assert any(line.split()[:2] == [part, "ok"] for line in said.splitlines()), (part, said)
    for kind, thing in damaged.ids.items():
        assert thing in said, (kind, said)
    assert "Repair: codecourier doctor --repair" in said
    assert stack.run(damaged.ids[Inconsistency.abandoned_row])["status"] == "paused"


def test_what_changed_a_moment_ago_is_left_alone(stack_of_its_own: DetachedStack) -> None:
    run_id = stack_of_its_own.start_run("Is at work while the doctor looks")
    assert doctor(stack_of_its_own, "--repair")[0] == 0
    assert stack_of_its_own.ended(run_id)["status"] == "completed"
