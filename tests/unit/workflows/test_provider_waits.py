"""What a job in a sandbox outlasts: rounds of attempts, with rests in between, for days of skipped time."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.errors import PROVIDER_LIMIT, UNEXPECTED_ERROR, UNEXPECTED_ERROR_TIMEOUT
from activities.jobs.lifecycle import RETRYING, JobWait
from activities.runs.delivery import PushRequest, PushResult, RunDeliveryActivities
from activities.sandboxes.lifecycle import SandboxRef
from kit.ids import new_id
from kit.temporal import BRANCH_PUSH, DATA_CONVERTER, TASK_QUEUE
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from workflows import activity_calls
from workflows.activity_calls import (
    MAX_ROUND_PAUSE_SECONDS,
    MAX_ROUNDS,
    WAIT_FOR_COMPLETION,
    run_with_provider_waits,
)
from workflows.sandboxes.lifecycle import pause_sandbox

SERVER = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
JOB = PushRequest(job_id="r_1", sandbox_id="s_1")
AWAY = ApplicationError("GitHub answered 503.", type="UPSTREAM_FAILED")


@workflow.defn
class PushAlone:
    """The push of a run, and nothing else of it."""

    @workflow.run
    async def run(self) -> PushResult:
        return await run_with_provider_waits(
            JOB.job_id,
            RunDeliveryActivities.push_branch,
            JOB,
            BRANCH_PUSH,
            summary="push",
            cancellation=WAIT_FOR_COMPLETION,
            rest=lambda: pause_sandbox(JOB.job_id, JOB.sandbox_id),
        )


class Forge:
    """Answers for GitHub: by what `fails` says at a time, if anything; and for the sandbox and the row."""

    def __init__(self, engine: WorkflowEnvironment, fails: Callable[[datetime], Exception | None]) -> None:
        self.engine, self.fails = engine, fails
        self.attempts = self.rests = 0
        self.waits: list[JobWait] = []

    @activity.defn(name="push_branch")
    async def push_branch(self, ref: PushRequest) -> PushResult:
        self.attempts += 1
        if error := self.fails(await self.engine.get_current_time()):
            raise error
        return PushResult(sha="5" * 40, branch="codecourier/1-it")

    @activity.defn(name="rest")
    async def rest(self, ref: SandboxRef) -> None:
        self.rests += 1

    @activity.defn(name="wait")
    async def wait(self, wait: JobWait) -> None:
        self.waits.append(wait)


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    assert SERVER is not None
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=SERVER, data_converter=DATA_CONVERTER
    ) as engine:
        yield engine


@asynccontextmanager
async def pushing(forge: Forge) -> AsyncIterator[WorkflowHandle[PushAlone, PushResult]]:
    client = forge.engine.client
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[PushAlone],
        activities=[forge.push_branch, forge.rest, forge.wait],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield await client.start_workflow(PushAlone.run, id=new_id("r"), task_queue=TASK_QUEUE)


async def test_a_push_outlasts_hours_without_github_while_its_sandbox_rests(
    engine: WorkflowEnvironment,
) -> None:
    back = await engine.get_current_time() + timedelta(hours=4)
    forge = Forge(engine, lambda now: AWAY if now < back else None)
    async with pushing(forge) as push:
        pushed = await push.result()
    assert pushed.branch == "codecourier/1-it"
    assert {wait.code for wait in forge.waits} == {RETRYING}
    assert forge.waits[0].message == "push is tried again: GitHub answered 503."
    assert forge.rests == len(forge.waits) > 10
    untils = [wait.until for wait in forge.waits if wait.until]
    pauses = [after - before for before, after in pairwise(untils)]
    assert max(pauses) < timedelta(seconds=MAX_ROUND_PAUSE_SECONDS * 1.1) + timedelta(minutes=5)


async def test_a_limit_that_github_names_is_rested_through(engine: WorkflowEnvironment) -> None:
    back = await engine.get_current_time() + timedelta(minutes=50)
    limit = ApplicationError("Too many.", 3_000.0, type=PROVIDER_LIMIT, non_retryable=True)
    forge = Forge(engine, lambda now: limit if now < back else None)
    async with pushing(forge) as push:
        await push.result()
    assert [wait.code for wait in forge.waits] == [PROVIDER_LIMIT]
    assert (forge.attempts, forge.rests) == (2, 1)


async def test_what_trying_again_does_not_help_ends_at_once(engine: WorkflowEnvironment) -> None:
    refused = ApplicationError("Forbidden.", type="PUSH_REJECTED", non_retryable=True)
    forge = Forge(engine, lambda _: refused)
    async with pushing(forge) as push:
        with pytest.raises(WorkflowFailureError):
            await push.result()
    assert (forge.attempts, forge.rests, forge.waits) == (1, 0, [])


async def test_a_week_has_an_end(engine: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of two rounds: it fails of what it failed of last."""
    assert timedelta(seconds=MAX_ROUNDS * MAX_ROUND_PAUSE_SECONDS) > timedelta(days=6)
    monkeypatch.setattr(activity_calls, "MAX_ROUNDS", 2)
    forge = Forge(engine, lambda _: AWAY)
    async with pushing(forge) as push:
        with pytest.raises(WorkflowFailureError) as failed:
            await push.result()
    assert len(forge.waits) == 2
    error = failed.value.cause
    assert isinstance(error, ActivityError)
    assert isinstance(error.cause, ApplicationError)
    assert error.cause.type == "UPSTREAM_FAILED"


async def test_a_bug_is_given_up_after_the_usual_hour(engine: WorkflowEnvironment) -> None:
    """One of the worker's own, which days do not heal; an outage in between begins the hour anew."""
    began = await engine.get_current_time()
    bug = ApplicationError("An unexpected error.", type=UNEXPECTED_ERROR)
    away_until = began + timedelta(hours=2)
    forge = Forge(
        engine, lambda now: bug if now - began < timedelta(minutes=30) or now > away_until else AWAY
    )
    async with pushing(forge) as push:
        with pytest.raises(WorkflowFailureError) as failed:
            await push.result()
        closed_at = (await push.describe()).close_time
    error = failed.value.cause
    assert isinstance(error, ActivityError)
    assert isinstance(error.cause, ApplicationError)
    assert error.cause.type == UNEXPECTED_ERROR
    assert closed_at is not None
    took = closed_at - away_until  # by the history: the server's own clock may have skipped on by now
    assert UNEXPECTED_ERROR_TIMEOUT <= took < timedelta(days=1), (
        "rests come on top, and hours that a busy machine skips"
    )
    assert forge.rests == len(forge.waits) > 4


async def test_a_cancel_ends_the_wait_at_once(engine: WorkflowEnvironment) -> None:
    forge = Forge(engine, lambda _: AWAY)
    async with pushing(forge) as push, asyncio.timeout(TEST_TIMEOUT_SECONDS):
        await engine.sleep(timedelta(minutes=1))
        with engine.auto_time_skipping_disabled():
            await push.cancel()
            with pytest.raises(WorkflowFailureError) as failed:
                await push.result()
    assert isinstance(failed.value.cause, CancelledError)
