"""The worker beats for its activities: a silent one is not taken for dead, and a cancel reaches it."""

import asyncio
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import CancelledError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.jobs import Wait
from kit.ids import new_id
from worker.interceptors import ActivityInterceptor

QUEUE = "beating"
BEATS_WITHIN = timedelta(seconds=3)


@activity.defn
async def be_silent(seconds: int) -> str:
    await asyncio.sleep(seconds)
    return "done"


@workflow.defn
class Silence:
    @workflow.run
    async def run(self, seconds: int) -> str:
        return await workflow.execute_activity(
            be_silent, seconds, start_to_close_timeout=timedelta(minutes=2), heartbeat_timeout=BEATS_WITHIN,
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )  # fmt: skip


async def _told(wait: Wait) -> None:
    raise AssertionError(f"nothing failed: {wait}")


def working(engine: Client) -> Worker:
    return Worker(
        engine, task_queue=QUEUE, workflows=[Silence], activities=[be_silent],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[ActivityInterceptor(_told)], max_heartbeat_throttle_interval=timedelta(seconds=1),
    )  # fmt: skip


async def test_a_silent_activity_outlives_its_heartbeat_timeout(engine: Client) -> None:
    async with working(engine):
        assert await engine.execute_workflow(Silence.run, 7, id=new_id("x"), task_queue=QUEUE) == "done"


async def test_a_cancel_comes_back_with_a_heartbeat(engine: Client) -> None:
    async with working(engine):
        handle = await engine.start_workflow(Silence.run, 60, id=new_id("x"), task_queue=QUEUE)
        await asyncio.sleep(1)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(handle.result(), 20)
    assert isinstance(failed.value.cause, CancelledError)
