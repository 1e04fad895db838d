"""The worker beats for its activities: a silent one is not taken for dead, and a cancel reaches it."""

import asyncio
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import CancelledError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.jobs.lifecycle import JobWait, TimedResult
from activities.jobs.resumption import Resumption
from kit.ids import new_id
from worker.interceptors import ActivityInterceptor

QUEUE = "beating"
BEATS_WITHIN = timedelta(seconds=3)


@activity.defn
async def be_silent(seconds: int) -> str:
    await asyncio.sleep(seconds)
    return "done"


@activity.defn
async def take(seconds: float) -> TimedResult:
    await asyncio.sleep(seconds)
    return TimedResult()


@workflow.defn
class Taking:
    @workflow.run
    async def run(self, seconds: float) -> TimedResult:
        return await workflow.execute_activity(take, seconds, start_to_close_timeout=timedelta(minutes=1))


@workflow.defn
class Silence:
    @workflow.run
    async def run(self, seconds: int) -> str:
        return await workflow.execute_activity(
            be_silent,
            seconds,
            start_to_close_timeout=timedelta(minutes=2),
            heartbeat_timeout=BEATS_WITHIN,
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


async def _told(what: JobWait | Resumption) -> None:
    raise AssertionError(f"nothing failed: {what}")


def working(engine: Client) -> Worker:
    return Worker(
        engine,
        task_queue=QUEUE,
        workflows=[Silence, Taking],
        activities=[be_silent, take],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[ActivityInterceptor(_told, _told)],
        max_heartbeat_throttle_interval=timedelta(seconds=1),
    )


async def test_a_silent_activity_outlives_its_heartbeat_timeout(engine: Client) -> None:
    async with working(engine):
        assert await engine.execute_workflow(Silence.run, 7, id=new_id("x"), task_queue=QUEUE) == "done"


async def test_an_activity_says_how_long_it_was_at_work(engine: Client) -> None:
    async with working(engine):
        taken = await engine.execute_workflow(Taking.run, 0.2, id=new_id("x"), task_queue=QUEUE)
    assert taken.active_seconds >= 0.2


async def test_a_cancel_comes_back_with_a_heartbeat(engine: Client) -> None:
    async with working(engine):
        handle = await engine.start_workflow(Silence.run, 60, id=new_id("x"), task_queue=QUEUE)
        await asyncio.sleep(1)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(handle.result(), 20)
    assert isinstance(failed.value.cause, CancelledError)
