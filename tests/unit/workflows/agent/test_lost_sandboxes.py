"""A session whose sandbox is lost: what is told to whom and how often, and how often it goes on.

The workflow is the real one on a real server; what it asks of models, sandboxes and rows is answered here, so
that each loss comes exactly where it is wanted.
"""

import shutil
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.agent.finish import FinishCall, FinishDecision
from activities.agent.sandbox_losses import LostTurn
from activities.agent.tool_calls import ToolCallInput
from activities.agent.turns import PendingCall, TurnInput, TurnResult
from activities.errors import SANDBOX_GONE
from activities.jobs.lifecycle import TimedResult
from activities.sandboxes.lifecycle import SANDBOXES_LOST, Provision, SandboxRef
from kit.ids import new_id
from kit.temporal import AGENTS_QUEUE, DATA_CONVERTER
from workflows.activity_calls import application_error
from workflows.agent.limits import CHECKPOINT_CALLS, SessionInput, SessionResult
from workflows.agent.session import AgentSessionWorkflow
from workflows.sandboxes.lifecycle import (
    MAX_PROVISION_ATTEMPTS,
    MAX_REBUILDS,
    require_checkpoint,
    with_sandbox_recovery,
)

SERVER = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
FINISH = TurnResult(next="finish")


def writing(calls: int = 1) -> TurnResult:
    """An answer that asks for so many calls that may write."""
    return TurnResult(
        next="tools", calls=[PendingCall(id=f"call_{each}", name="bash") for each in range(calls)]
    )


def gone() -> ApplicationError:
    return ApplicationError("The sandbox is gone.", type=SANDBOX_GONE, non_retryable=True)


@dataclass
class World:
    """Answers in order; `lost` names the sandboxes that are gone from the start."""

    engine: WorkflowEnvironment
    answers: deque[TurnResult]
    has_open_calls: bool = False
    """Whether a lost turn has calls without a result."""
    lost: set[str] = field(default_factory=set)
    lost_at_checkpoint: set[str] = field(default_factory=set)
    turns: list[TurnInput] = field(default_factory=list)
    calls: list[ToolCallInput] = field(default_factory=list)
    replaced: list[str | None] = field(default_factory=list)
    told: list[LostTurn] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    finishes: int = 0
    time_limit_seconds: int | None = None

    @activity.defn(name="model_turn")
    async def model_turn(self, ask: TurnInput) -> TurnResult:
        self.turns.append(ask)
        return self.answers.popleft()

    @activity.defn(name="tool_call")
    async def tool_call(self, call: ToolCallInput) -> TimedResult:
        self.calls.append(call)
        if call.sandbox_id in self.lost:
            raise gone()
        return TimedResult()

    @activity.defn(name="provision")
    async def provision(self, ask: Provision) -> str:
        self.replaced.append(ask.lost)
        return f"s_{len(self.replaced) + 1}"

    @activity.defn(name="prepare")
    async def prepare(self, ref: SandboxRef) -> bool | None:
        if ref.sandbox_id in self.lost:
            raise gone()
        return None

    @activity.defn(name="checkpoint")
    async def checkpoint(self, ref: SandboxRef) -> str | None:
        if ref.sandbox_id in self.lost_at_checkpoint:
            raise gone()
        self.saved.append(ref.sandbox_id)
        return "a" * 40

    @activity.defn(name="answer_lost_calls")
    async def answer_lost_calls(self, turn: LostTurn) -> bool:
        self.told.append(turn)
        return self.has_open_calls

    @activity.defn(name="accept_finish")
    async def accept_finish(self, call: FinishCall) -> FinishDecision:
        self.finishes += 1
        return FinishDecision(is_finished=True)

    @property
    def activities(self) -> list[Callable[..., object]]:
        return [
            self.model_turn,
            self.tool_call,
            self.provision,
            self.prepare,
            self.checkpoint,
            self.answer_lost_calls,
            self.accept_finish,
        ]

    async def play(self) -> SessionResult:
        told = SessionInput(
            session_id=new_id("ses"),
            job_id=new_id("r"),
            sandbox_id="s_1",
            label="Work",
            max_turns=20,
            time_limit_seconds=self.time_limit_seconds,
            keeps_work=True,
        )
        async with self._working():
            return await self.engine.client.execute_workflow(
                AgentSessionWorkflow.run, told, id=told.session_id, task_queue=AGENTS_QUEUE
            )

    async def save(self) -> None:
        async with self._working():
            await self.engine.client.execute_workflow(Saving.run, id=new_id("r"), task_queue=AGENTS_QUEUE)

    def _working(self) -> Worker:
        return Worker(
            self.engine.client,
            task_queue=AGENTS_QUEUE,
            workflows=[AgentSessionWorkflow, Saving],
            activities=self.activities,
            workflow_runner=UnsandboxedWorkflowRunner(),
            workflow_failure_exception_types=[Exception],
        )


@workflow.defn
class Saving:
    """Work in a sandbox that cannot go on without it."""

    @workflow.run
    async def run(self) -> None:
        await with_sandbox_recovery("r_1", "s_1", partial(require_checkpoint, "r_1"))


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    assert SERVER is not None
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=SERVER, data_converter=DATA_CONVERTER
    ) as engine:
        yield engine


async def test_an_interrupted_call_is_answered_and_never_sent_again(engine: WorkflowEnvironment) -> None:
    world = World(engine, deque([writing(), writing(), FINISH]), has_open_calls=True, lost={"s_1"})
    outcome = await world.play()
    assert [(call.sandbox_id, call.sequence) for call in world.calls] == [("s_1", 6), ("s_2", 10)]
    assert [(turn.sandbox_id, turn.replacement, turn.sequence) for turn in world.told] == [("s_1", "s_2", 6)]
    assert [turn.lost_sandbox for turn in world.turns] == [None, None, None], "its result has told it"
    assert (outcome.finished, outcome.sandbox_id, outcome.work_lost) == (True, "s_2", True)


async def test_a_loss_that_interrupted_no_call_is_told_once_before_the_next_turn(
    engine: WorkflowEnvironment,
) -> None:
    answers = deque([writing(CHECKPOINT_CALLS), writing(), FINISH])
    world = World(engine, answers, lost_at_checkpoint={"s_1"})
    outcome = await world.play()
    assert [turn.lost_sandbox for turn in world.turns] == [None, "s_1", None]
    assert (world.saved, outcome.work_lost, outcome.unsaved) == (["s_2"], True, False)


async def test_an_agent_goes_on_when_its_sandbox_is_lost_before_its_finish_is_accepted(
    engine: WorkflowEnvironment,
) -> None:
    world = World(
        engine,
        deque([writing(), FINISH, writing(), FINISH]),
        has_open_calls=True,
        lost_at_checkpoint={"s_1"},
    )
    outcome = await world.play()
    assert outcome.finished
    assert world.finishes == 1, "the first one was answered with the loss"
    assert len(world.turns) == 4


async def test_what_is_in_a_checkpoint_is_not_lost(engine: WorkflowEnvironment) -> None:
    world = World(engine, deque([writing(CHECKPOINT_CALLS), FINISH]))
    outcome = await world.play()
    assert world.saved == ["s_1"], "nothing changed since, so that none is taken before the finish"
    assert (outcome.saved_sha, outcome.unsaved, outcome.work_lost) == ("a" * 40, False, False)


async def test_sandboxes_that_are_lost_before_they_are_ready_are_made_a_few_times(
    engine: WorkflowEnvironment,
) -> None:
    lost = {f"s_{number}" for number in range(1, 10)}
    world = World(engine, deque([writing()]), has_open_calls=True, lost=lost)
    assert await code_of(world.play()) == SANDBOXES_LOST
    assert world.replaced == ["s_1", "s_2", "s_3"]
    assert len(world.replaced) == MAX_PROVISION_ATTEMPTS
    assert len(world.calls) == 1


async def test_the_same_work_is_done_again_twice_at_most(engine: WorkflowEnvironment) -> None:
    lost = {f"s_{number}" for number in range(1, 10)}
    world = World(engine, deque(), lost_at_checkpoint=lost)
    assert await code_of(world.save()) == SANDBOXES_LOST
    assert world.replaced == ["s_1", "s_2"]
    assert len(world.replaced) == MAX_REBUILDS


async def test_no_sandbox_is_made_when_the_time_is_over(engine: WorkflowEnvironment) -> None:
    late = writing().model_copy(update={"active_seconds": 61.0})
    world = World(engine, deque([late]), lost={"s_1"}, time_limit_seconds=60)
    assert await code_of(world.play()) == "TIME_LIMIT"
    assert world.replaced == []


async def code_of(playing: Awaitable[object]) -> str | None:
    """What a workflow fails of."""
    with pytest.raises(WorkflowFailureError) as failed:
        await playing
    assert isinstance(failed.value.cause, FailureError)
    reason = application_error(failed.value.cause)
    return reason.type if reason else None
