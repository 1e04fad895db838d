"""What differs from replay to replay is refused where histories are replayed."""

import random

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

from kit.ids import new_id
from tests.support.histories.replay_sandbox import REPLAY_RUNNER

QUEUE = "sandboxed"


@workflow.defn
class Rolling:
    @workflow.run
    async def run(self) -> float:
        return random.random()


async def test_chance_is_refused(engine: Client) -> None:
    async with Worker(
        engine,
        task_queue=QUEUE,
        workflows=[Rolling],
        workflow_runner=REPLAY_RUNNER,
        workflow_failure_exception_types=[Exception],
    ):
        with pytest.raises(WorkflowFailureError) as failed:
            await engine.execute_workflow(Rolling.run, id=new_id("x"), task_queue=QUEUE)
    assert "random" in str(failed.value.cause)
