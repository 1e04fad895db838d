"""What bugs do to a workflow, and what suspends its task until other code heals it."""

import asyncio
from datetime import timedelta

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from kit.ids import new_id
from tests.support.installation import wait_until
from workflows.bugs import BUG_CODE, BUG_MESSAGE, BugInterceptor

QUEUE = "buggy"
SECRET = "what-a-user-may-not-see"


class Measured(BaseModel):
    metres: int


class MeasuredFinely(Measured):
    millimetres: int


@activity.defn
async def measure() -> Measured:
    return Measured(metres=3)


@workflow.defn(name="Careless")
class Careless:
    """Ends when its update says so; every part of it can fail of a bug."""

    def __init__(self) -> None:
        self.word = ""

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.word != "")
        if self.word == "bug":
            raise KeyError(SECRET)
        if self.word == "unreadable":
            Measured.model_validate({})
        return self.word

    @workflow.signal
    def say(self, word: str) -> None:
        self.word = word

    @workflow.update
    async def refuse(self) -> None:
        raise KeyError(SECRET)


@workflow.defn(name="Careless")
class Corrected(Careless):
    def __init__(self) -> None:
        super().__init__()

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.word != "")
        return f"corrected: {self.word}"


@workflow.defn(name="Measuring")
class Measuring:
    """Looks at what was measured, then waits to be let go."""

    finely = False

    def __init__(self) -> None:
        self.is_let_go = False

    @workflow.run
    async def run(self) -> int:
        measured = await workflow.execute_activity(
            "measure",
            result_type=MeasuredFinely if self.finely else Measured,
            start_to_close_timeout=timedelta(seconds=10),
        )
        await workflow.wait_condition(lambda: self.is_let_go)
        return int(measured.metres)

    @workflow.signal
    def let_go(self) -> None:
        self.is_let_go = True


@workflow.defn(name="Measuring")
class MeasuringFinely(Measuring):
    finely = True

    def __init__(self) -> None:
        super().__init__()

    @workflow.run
    async def run(self) -> int:
        return await super().run()


@workflow.defn(name="Measuring")
class MeasuringLater(Measuring):
    def __init__(self) -> None:
        super().__init__()

    @workflow.run
    async def run(self) -> int:
        await workflow.sleep(1)
        return await super().run()


def working(engine: Client, kind: type) -> Worker:
    return Worker(
        engine,
        task_queue=QUEUE,
        workflows=[kind],
        activities=[measure],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[BugInterceptor()],
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )


async def start(engine: Client, kind: str) -> WorkflowHandle[object, object]:
    return await engine.start_workflow(kind, id=new_id("x"), task_queue=QUEUE)


async def causes(handle: WorkflowHandle[object, object]) -> list[WorkflowTaskFailedCause.ValueType]:
    """Of the failures of its workflow tasks that the history tells: the first of each row of them."""
    return [
        event.workflow_task_failed_event_attributes.cause
        for event in (await handle.fetch_history()).events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    ]


async def is_suspended(handle: WorkflowHandle[object, object]) -> bool:
    """Whether its task has failed twice or more and is tried again."""
    pending = (await handle.describe()).raw_description.pending_workflow_task
    return pending.attempt >= 2


async def suspended(handle: WorkflowHandle[object, object]) -> None:
    await wait_until(lambda: is_suspended(handle), "its workflow task is tried again")
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_a_bug_fails_the_workflow_with_a_code(engine: Client) -> None:
    async with working(engine, Careless):
        handle = await start(engine, "Careless")
        await handle.signal("say", "bug")
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message, cause.non_retryable) == (BUG_CODE, BUG_MESSAGE, True)


async def test_a_bug_in_an_update_fails_the_update_only(engine: Client) -> None:
    async with working(engine, Careless):
        handle = await start(engine, "Careless")
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await handle.execute_update("refuse")
        await handle.signal("say", "goodbye")
        assert await handle.result() == "goodbye"
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == (BUG_CODE, BUG_MESSAGE)


async def test_data_that_workflow_code_cannot_read_suspends_its_task(engine: Client) -> None:
    async with working(engine, Careless):
        handle = await start(engine, "Careless")
        await handle.signal("say", "unreadable")
        await suspended(handle)
    async with working(engine, Corrected):
        assert await asyncio.wait_for(handle.result(), 60) == "corrected: unreadable"


async def test_a_result_that_cannot_be_decoded_suspends_the_task_until_code_can(engine: Client) -> None:
    async with working(engine, MeasuringFinely):
        handle = await start(engine, "Measuring")
        await suspended(handle)
    async with working(engine, Measuring):
        await handle.signal("let_go")
        assert await asyncio.wait_for(handle.result(), 60) == 3


async def test_changed_commands_suspend_the_task_until_a_rollback(engine: Client) -> None:
    async with working(engine, Measuring):
        handle = await start(engine, "Measuring")
        await wait_until(lambda: has_measured(handle), "it has measured")
    async with working(engine, MeasuringLater):
        await handle.signal("let_go")
        await suspended(handle)
        nondeterministic = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
        assert nondeterministic in await causes(handle)
    async with working(engine, Measuring):
        assert await asyncio.wait_for(handle.result(), 60) == 3


async def has_measured(handle: WorkflowHandle[object, object]) -> bool:
    completed = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    return any(event.event_type == completed for event in (await handle.fetch_history()).events)
