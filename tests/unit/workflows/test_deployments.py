"""Two builds at work: whose histories they are, who takes what over, and which changes are begun with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Final

import pytest
from temporalio import workflow
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Worker

from kit.ids import new_id
from kit.settings import Settings
from models.jobs.job_registry import SPRINT_CHAIN_WORKFLOW
from worker.deployment import build_of, deployment_of, is_patch_active, patch_activation, runner_of
from worker.registry import LONG_LIVED_WORKFLOWS, WORKFLOWS

LONG = SPRINT_CHAIN_WORKFLOW
"""The name of one that moves on."""
PATCH = "0.2.0/greet-twice"
LONGEST = 60


class Greeting:
    """Waits until it is let go, and says which build greets with which commands."""

    def __init__(self) -> None:
        self.is_let_go = False

    @workflow.signal
    def let_go(self) -> None:
        self.is_let_go = True

    async def greet_as_old(self) -> str:
        await workflow.wait_condition(lambda: self.is_let_go)
        return "old commands of old"

    async def greet_as_new(self) -> str:
        await workflow.wait_condition(lambda: self.is_let_go)
        if workflow.patched(PATCH):
            await workflow.sleep(0.01)
            return "new commands"
        return "old commands of new"


@workflow.defn(name="Short")
class OldShort(Greeting):
    @workflow.run
    async def run(self) -> str:
        return await self.greet_as_old()


@workflow.defn(name=LONG)
class OldLong(Greeting):
    @workflow.run
    async def run(self) -> str:
        return await self.greet_as_old()


@workflow.defn(name="Short")
class NewShort(Greeting):
    @workflow.run
    async def run(self) -> str:
        return await self.greet_as_new()


@workflow.defn(name=LONG)
class NewLong(Greeting):
    @workflow.run
    async def run(self) -> str:
        return await self.greet_as_new()


BUILDS: Final[dict[str, list[type]]] = {"old": [OldShort, OldLong], "new": [NewShort, NewLong]}


@asynccontextmanager
async def working(
    engine: Client, settings: Settings, build: str, queue: str, **changed: str | None
) -> AsyncIterator[Settings]:
    """A worker of a build; `changed`: settings that differ from those of the session."""
    told = settings.model_copy(update={"codecourier_build": build, **changed})
    async with Worker(
        engine,
        task_queue=queue,
        workflows=BUILDS[build],
        workflow_runner=runner_of(told),
        deployment_config=deployment_of(told),
        patch_activation_callback=patch_activation(told.workflow_patches_until),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    ):
        yield told


async def start(engine: Client, kind: str, queue: str) -> WorkflowHandle[object, str]:
    return await engine.start_workflow(kind, id=new_id("x"), task_queue=queue, result_type=str)


async def greeted(handle: WorkflowHandle[object, str]) -> str:
    await handle.signal("let_go")
    return await asyncio.wait_for(handle.result(), LONGEST)


async def at_work(handle: WorkflowHandle[object, str]) -> None:
    """Wait until a worker has taken it."""
    async with asyncio.timeout(LONGEST):
        while (await handle.describe()).history_length < 4:
            await asyncio.sleep(0.1)


async def make_current(engine: Client, deployment: str, build: str) -> None:
    """What an operator does when a build's workers are there."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=engine.namespace, deployment_name=deployment, build_id=build, identity="test"
    )
    async with asyncio.timeout(LONGEST):
        while True:
            try:
                await engine.workflow_service.set_worker_deployment_current_version(request)
            except RPCError:  # its workers have not been heard of yet
                await asyncio.sleep(0.2)
            else:
                return


async def test_with_versioning_the_short_stay_on_their_build_and_the_long_move_on(
    engine: Client, settings: Settings
) -> None:
    queue, deployment = new_id("queue"), new_id("deployment")
    async with working(engine, settings, "old", queue, temporal_worker_deployment=deployment):
        await make_current(engine, deployment, "old")
        short, long = await start(engine, "Short", queue), await start(engine, LONG, queue)
        await asyncio.gather(at_work(short), at_work(long))
        async with working(engine, settings, "new", queue, temporal_worker_deployment=deployment):
            await make_current(engine, deployment, "new")
            # the queues hear of it a moment later
            while await greeted(await start(engine, "Short", queue)) != "new commands":
                await asyncio.sleep(0.2)
            assert await greeted(short) == "old commands of old"
            assert await greeted(long) == "new commands"


async def test_patches_of_later_versions_are_not_begun_with(engine: Client, settings: Settings) -> None:
    """So that the old build can take over whatever the new one had in its hands."""
    queue = new_id("queue")
    async with working(engine, settings, "new", queue, workflow_patches_until="0.1.0"):
        handle = await start(engine, "Short", queue)
        await at_work(handle)
        held = await start(engine, "Short", queue)
        assert await greeted(held) == "old commands of new"
    async with working(engine, settings, "old", queue):
        assert await greeted(handle) == "old commands of old"
    async with working(engine, settings, "new", queue, workflow_patches_until="0.2.0"):
        assert await greeted(await start(engine, "Short", queue)) == "new commands"


async def test_what_has_begun_with_a_patch_goes_on_with_it(engine: Client, settings: Settings) -> None:
    queue = new_id("queue")
    async with working(engine, settings, "new", queue):
        handle = await start(engine, LONG, queue)
        assert await greeted(handle) == "new commands"
    history = await handle.fetch_history()
    builds = {
        event.workflow_task_completed_event_attributes.worker_version.build_id
        or event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    }
    assert builds == {"new"}, "a history says which code made it"


@pytest.mark.parametrize(
    ("patch", "last", "expected"),
    [
        (PATCH, None, True),
        (PATCH, "0.1.9", False),
        (PATCH, "0.2.0", True),
        (PATCH, "0.10.0", True),
        (PATCH, "1", True),
        ("wake-webhooks", "0.0.1", True),
    ],
)
def test_a_patch_is_begun_with_up_to_its_version(patch: str, last: str | None, expected: bool) -> None:
    assert is_patch_active(patch, last) is expected


def test_a_build_without_a_commit_is_named_by_its_source(settings: Settings) -> None:
    unnamed = build_of(settings.model_copy(update={"codecourier_build": None}))
    name, source = unnamed.split("+")
    assert name == version("codecourier")
    assert len(source) == 12
    assert build_of(settings.model_copy(update={"codecourier_build": "80151ad"})) == "80151ad"


def test_signals_take_no_arguments() -> None:
    """One that a build cannot decode would be dropped, not tried again."""
    for kind in WORKFLOWS:
        for signal in workflow._Definition.must_from_class(kind).signals.values():
            assert signal.arg_types == [], f"{signal.name} of {kind.__name__}"


def test_what_lives_long_is_registered() -> None:
    assert {workflow._Definition.must_from_class(kind).name for kind in WORKFLOWS} >= LONG_LIVED_WORKFLOWS
