"""Waiting for money over weeks of skipped time: the time limit stands still, and a lost word does no harm.

The workflow is the real one on a real server; what it asks of models and rows is answered here, so that it is
seen when it asks.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.agent.turns import TurnInput, TurnResult
from activities.budgets.waits import BudgetHold, EndBudgetWait, StartBudgetWait
from kit.ids import new_id
from kit.temporal import AGENTS_QUEUE, DATA_CONVERTER
from models.budgets.money_code import BudgetWaitCode
from models.budgets.reservation import ReservationRefusal
from tests.support.history_limits import suggest_continue_as_new_after
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from workflows.agent.limits import SessionInput, SessionResult
from workflows.agent.session import AgentSessionWorkflow
from workflows.budgets.waiting import RECHECK_INTERVAL

SERVER = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
REFUSED = ReservationRefusal(
    code=BudgetWaitCode.reached, needs_usd=Decimal("0.08"), budgets=["prj_1"], model="m"
)
TIME_LIMIT = 600


class Purse:
    """Answers for the rows: `held` says what holds the session up at its n-th look, if anything does."""

    def __init__(
        self, engine: WorkflowEnvironment, held: Callable[[int, datetime], BudgetHold | None]
    ) -> None:
        self.engine, self.held = engine, held
        self.looks: list[datetime] = []
        self.asked = 0
        self.let_go: list[bool] = []

    @activity.defn(name="model_turn")
    async def model_turn(self, ask: TurnInput) -> TurnResult:
        self.asked += 1
        if self.asked == 1:
            refusal = REFUSED.model_dump(mode="json")
            raise ApplicationError("No money.", refusal, type=REFUSED.code, non_retryable=True)
        return TurnResult(next="finished")

    @activity.defn(name="hold_session")
    async def hold_session(self, ask: StartBudgetWait) -> BudgetHold | None:
        self.looks.append(await self.engine.get_current_time())
        return self.held(len(self.looks), self.looks[-1])

    @activity.defn(name="let_session_go")
    async def let_session_go(self, ask: EndBudgetWait) -> None:
        self.let_go.append(ask.goes_on)


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[WorkflowEnvironment]:
    assert SERVER is not None
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=SERVER, data_converter=DATA_CONVERTER
    ) as engine:
        yield engine


@asynccontextmanager
async def waiting(purse: Purse) -> AsyncIterator[WorkflowHandle[AgentSessionWorkflow, SessionResult]]:
    """A session that has ten minutes, and no money for its first turn."""
    engine = purse.engine
    async with Worker(
        engine.client,
        task_queue=AGENTS_QUEUE,
        workflows=[AgentSessionWorkflow],
        activities=[purse.model_turn, purse.hold_session, purse.let_session_go],
        workflow_runner=UnsandboxedWorkflowRunner(),
        workflow_failure_exception_types=[Exception],
    ):
        told = SessionInput(
            session_id=new_id("ses"),
            job_id=new_id("r"),
            sandbox_id=new_id("s"),
            label="Work",
            max_turns=5,
            time_limit_seconds=TIME_LIMIT,
        )
        yield await engine.client.start_workflow(
            AgentSessionWorkflow.run, told, id=told.session_id, task_queue=AGENTS_QUEUE
        )


async def first_look(purse: Purse) -> None:
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while not purse.looks:
            await asyncio.sleep(0.02)


async def test_a_lost_word_delays_it_by_half_an_hour(engine: WorkflowEnvironment) -> None:
    weeks = timedelta(weeks=2)
    began = await engine.get_current_time()
    reached = BudgetHold(code=BudgetWaitCode.reached)
    purse = Purse(engine, lambda _, at: reached if at - began < weeks else None)
    async with waiting(purse) as session:
        outcome = await session.result()
    assert outcome.finished, "two weeks without money are no part of ten minutes"
    assert outcome.active_seconds == 0
    pauses = [after - before for before, after in zip(purse.looks, purse.looks[1:], strict=False)]
    assert all(RECHECK_INTERVAL <= pause < RECHECK_INTERVAL + timedelta(minutes=1) for pause in pauses)
    assert purse.asked == 2, "the model is asked again when there is money, not before"


async def test_a_long_wait_goes_on_in_a_new_history(
    engine: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggest_continue_as_new_after(30, monkeypatch)
    reached = BudgetHold(code=BudgetWaitCode.reached)
    purse = Purse(engine, lambda look, _: reached if look < 40 else None)
    async with waiting(purse) as session:
        first = (await session.describe()).run_id
        outcome = await session.result()
        assert (await engine.client.get_workflow_handle(session.id).describe()).run_id != first
    assert outcome.finished
    assert purse.asked == 2
    assert outcome.active_seconds == 0


async def test_a_new_month_is_not_missed(engine: WorkflowEnvironment) -> None:
    """Looked at within the month's first minute, not within half an hour."""
    turn = await engine.get_current_time() + timedelta(minutes=12)
    purse = Purse(
        engine, lambda _, at: BudgetHold(code=BudgetWaitCode.reached, until=turn) if at < turn else None
    )
    async with waiting(purse) as session:
        assert (await session.result()).finished
    assert len(purse.looks) == 2
    assert turn <= purse.looks[1] <= turn + timedelta(minutes=1, seconds=5)


async def test_a_raised_cap_is_looked_at_at_once(engine: WorkflowEnvironment) -> None:
    purse = Purse(engine, lambda look, _: BudgetHold(code=BudgetWaitCode.reached) if look == 1 else None)
    with engine.auto_time_skipping_disabled():
        async with waiting(purse) as session, asyncio.timeout(TEST_TIMEOUT_SECONDS):
            await first_look(purse)
            await session.signal("budget_changed")
            assert (await session.result()).finished
    assert len(purse.looks) == 2


async def test_reservations_of_others_are_waited_for_in_seconds(engine: WorkflowEnvironment) -> None:
    purse = Purse(engine, lambda look, _: BudgetHold(code=BudgetWaitCode.reserved) if look < 6 else None)
    async with waiting(purse) as session:
        assert (await session.result()).finished
    assert purse.looks[-1] - purse.looks[0] < timedelta(minutes=1)


async def test_a_pause_besides_outlasts_the_wait(engine: WorkflowEnvironment) -> None:
    """Paused by a person for the second half of a wait of eight minutes, and for twelve minutes after it."""
    purse = Purse(engine, lambda look, _: BudgetHold(code=BudgetWaitCode.reached) if look == 1 else None)
    async with waiting(purse) as session:
        with engine.auto_time_skipping_disabled():
            await first_look(purse)
        await engine.sleep(timedelta(minutes=4))
        await session.signal("pause")
        await engine.sleep(timedelta(minutes=4))
        await session.signal("budget_changed")
        await engine.sleep(timedelta(minutes=12))
        assert purse.asked == 1, "there is money, but a person has paused it"
        await session.signal("resume")
        outcome = await session.result()
    assert outcome.finished


async def test_it_is_stopped_and_cancelled_while_it_waits(engine: WorkflowEnvironment) -> None:
    for command, goes_on in (("stop", True), ("cancel", False)):
        purse = Purse(engine, lambda _, __: BudgetHold(code=BudgetWaitCode.reached))
        with engine.auto_time_skipping_disabled():
            async with waiting(purse) as session, asyncio.timeout(TEST_TIMEOUT_SECONDS):
                await first_look(purse)
                if command == "stop":
                    await session.signal("stop")
                    assert not (await session.result()).finished
                else:
                    await session.cancel()
                    with pytest.raises(Exception, match="Workflow execution failed"):
                        await session.result()
        assert (purse.let_go, purse.asked) == ([goes_on], 1)
