"""Time that counts: only what turns and calls were at work for, whatever the clock of the world says.

The workflow is the real one on a server that skips time; models and tools are answered for here.
"""

import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.agent.tool_calls import ToolCallInput
from activities.agent.turns import PendingCall, TurnInput, TurnResult
from activities.errors import PROVIDER_LIMIT
from activities.jobs.lifecycle import JobWait, TimedResult
from kit.ids import new_id
from kit.temporal import (
    AGENTS_QUEUE,
    BRANCH_PUSH,
    DATA_CONVERTER,
    EXTERNAL,
    LONG_RUNNING,
    ActivityOptions,
)
from workflows.agent.limits import SessionInput, SessionResult
from workflows.agent.session import AgentSessionWorkflow

SERVER = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
LIMIT = timedelta(minutes=10)
OUTAGE = timedelta(hours=2)
Turn = Callable[[int], Awaitable[TurnResult]]


class Agent:
    """Answers for the model, by the number of the attempt, and for tools that take `call_seconds` each."""

    def __init__(self, turn: Turn, call_seconds: tuple[float, ...] = ()) -> None:
        self.turn, self.call_seconds = turn, call_seconds
        self.asked = 0
        self.waits: list[JobWait] = []

    @activity.defn(name="model_turn")
    async def model_turn(self, ask: TurnInput) -> TurnResult:
        self.asked += 1
        return await self.turn(self.asked)

    @activity.defn(name="tool_call")
    async def tool_call(self, call: ToolCallInput) -> TimedResult:
        return TimedResult(active_seconds=self.call_seconds[int(call.tool_use_id)])

    @activity.defn(name="wait")
    async def wait(self, wait: JobWait) -> None:
        self.waits.append(wait)


def outcome(seconds: float, calls: int = 0) -> TurnResult:
    asked = [PendingCall(id=str(number), name="bash") for number in range(calls)]
    return TurnResult(next="tools" if calls else "finished", calls=asked, active_seconds=seconds)


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    assert SERVER is not None
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=SERVER, data_converter=DATA_CONVERTER
    ) as engine:
        yield engine


def working(engine: WorkflowEnvironment, agent: Agent) -> Worker:
    return Worker(
        engine.client,
        task_queue=AGENTS_QUEUE,
        workflows=[AgentSessionWorkflow],
        activities=[agent.model_turn, agent.tool_call, agent.wait],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def begun(
    engine: WorkflowEnvironment, signal: str | None = None
) -> WorkflowHandle[AgentSessionWorkflow, SessionResult]:
    """A session that has ten minutes; sent a signal before it does anything."""
    told = SessionInput(
        session_id=new_id("ses"),
        job_id=new_id("r"),
        sandbox_id=new_id("s"),
        label="Work",
        max_turns=50,
        time_limit_seconds=int(LIMIT.total_seconds()),
    )
    return await engine.client.start_workflow(
        AgentSessionWorkflow.run,
        told,
        id=told.session_id,
        task_queue=AGENTS_QUEUE,
        start_signal=signal,
    )


@asynccontextmanager
async def session(
    engine: WorkflowEnvironment, agent: Agent
) -> AsyncIterator[WorkflowHandle[AgentSessionWorkflow, SessionResult]]:
    async with working(engine, agent):
        yield await begun(engine)


async def passed(
    engine: WorkflowEnvironment, handle: WorkflowHandle[AgentSessionWorkflow, object]
) -> timedelta:
    described = await handle.describe()
    assert described.close_time is not None
    return described.close_time - described.start_time


async def test_a_limit_of_the_provider_costs_nothing(engine: WorkflowEnvironment) -> None:
    async def turn(attempt: int) -> TurnResult:
        if attempt == 2:
            seconds = OUTAGE.total_seconds()
            raise ApplicationError("Too many requests.", seconds, type=PROVIDER_LIMIT, non_retryable=True)
        return outcome(1, calls=0 if attempt == 3 else 1)

    agent = Agent(turn, call_seconds=(2,))
    async with session(engine, agent) as handle:
        ended = await handle.result()
        assert await passed(engine, handle) >= OUTAGE
    assert ended.finished
    assert ended.active_seconds == 4
    assert [wait.code for wait in agent.waits] == [PROVIDER_LIMIT]


async def test_an_outage_of_hours_costs_nothing_and_ends_nothing(engine: WorkflowEnvironment) -> None:
    """Seven hours of attempts that fail: more than the six after which a turn was once given up."""
    began = await engine.get_current_time()

    async def turn(attempt: int) -> TurnResult:
        if await engine.get_current_time() - began < timedelta(hours=7):
            raise ApplicationError("The model failed.", type="UPSTREAM_FAILED")
        return outcome(1)

    async with session(engine, Agent(turn)) as handle:
        ended = await handle.result()
    assert ended.finished
    assert ended.active_seconds == 1


@pytest.mark.parametrize("patience", [EXTERNAL, LONG_RUNNING, BRANCH_PUSH])
def test_nothing_that_a_job_waits_for_ends_because_nobody_could_try(patience: ActivityOptions) -> None:
    """The server counts the absence of all workers in this time-out, and in no other that we set."""
    assert patience["schedule_to_close_timeout"] is None
    assert patience["retry_policy"].maximum_attempts > 0


async def test_a_pause_costs_nothing(engine: WorkflowEnvironment) -> None:
    async def turn(attempt: int) -> TurnResult:
        return outcome(1)

    agent = Agent(turn)
    async with working(engine, agent):
        handle = await begun(engine, "pause")
        await engine.sleep(OUTAGE)
        assert agent.asked == 0
        await handle.signal("resume")
        ended = await handle.result()
    assert ended.finished


async def test_calls_of_one_answer_count_as_long_as_the_longest(engine: WorkflowEnvironment) -> None:
    async def turn(attempt: int) -> TurnResult:
        return outcome(1, calls=0 if attempt == 2 else 3)

    async with session(engine, Agent(turn, call_seconds=(5, 30, 10))) as handle:
        ended = await handle.result()
    assert ended.active_seconds == 32


async def test_active_time_beyond_the_limit_ends_the_session(engine: WorkflowEnvironment) -> None:
    async def turn(attempt: int) -> TurnResult:
        return outcome(100, calls=1)

    agent = Agent(turn, call_seconds=(101,))
    async with session(engine, agent) as handle:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "TIME_LIMIT"
    assert cause.message == ("Its 600 seconds of active time are used up. Raise timeoutMs or split the task.")
    assert SessionResult.model_validate(cause.details[0]).active_seconds == 603
    assert agent.asked == 3
