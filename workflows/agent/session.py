"""An agent's session: turn after turn until it finishes.  Everything that talks to a model uses it."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.types import MethodAsyncSingleParam

with workflow.unsafe.imports_passed_through():
    from activities.agent.finish import FinishActivities, FinishCall, FinishDecision
    from activities.agent.sandbox_losses import LostTurn, SandboxLossActivities
    from activities.agent.tool_calls import ToolCallActivities, ToolCallInput
    from activities.agent.turns import PendingCall, TurnActivities, TurnInput, TurnResult
    from activities.errors import CONTEXT_TOO_LONG
    from activities.jobs.lifecycle import TimedResult
    from kit.temporal import LONG_RUNNING
    from models.agent.session import turn_sequence
    from workflows.activity_calls import application_error, run_all, run_local, run_with_provider_waits
    from workflows.agent.limits import (
        SessionInput,
        SessionResult,
        limit_error,
        raise_if_refused,
        require_time_left,
        require_within_limits,
    )
    from workflows.budgets.waiting import SessionBudgetWait, refusal_of
    from workflows.sandboxes.lifecycle import is_loss, provision_sandbox, save_checkpoint

S = TypeVar("S")
P = TypeVar("P")
R = TypeVar("R", bound="TimedResult")


class SessionStopped(Exception):
    """The session is to end as it is."""


@workflow.defn(name="AgentSession")
class AgentSessionWorkflow:
    @workflow.init
    def __init__(self, input: SessionInput) -> None:
        self.session = input.model_copy()
        self.budget_wait = SessionBudgetWait(self.session)
        self.paused = self.stopping = False
        self.call_seconds = 0.0
        """The longest that a call of the last answer was at work."""

    @workflow.run
    async def run(self, input: SessionInput) -> SessionResult:
        try:
            return await self._converse()
        except SessionStopped:
            return SessionResult.of(self.session)
        except ApplicationError as limit:
            raise limit_error(limit, self.session) from limit

    async def _converse(self) -> SessionResult:
        session = self.session
        while True:
            await workflow.wait_condition(lambda: self.stopping or not self.paused)
            if self.stopping:
                return SessionResult.of(session)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(session)
            require_within_limits(session)
            outcome = await self._take_turn()
            session.lost_sandbox = None
            raise_if_refused(outcome)
            if outcome.next == "finished":
                return SessionResult.of(session, finished=True)
            if outcome.next == "finish":
                accepted = await self._finish()
                if accepted.is_finished:
                    return SessionResult.of(session, finished=True, verdict=accepted.verdict)
            await self._call_tools(outcome.calls)
            if session.wants_checkpoint(workflow.now()):
                await self._save_work()
            session.nudges = session.nudges + 1 if outcome.next == "nudge" else 0
            session.turn += 1
            if outcome.compact:
                await self._compact()

    @workflow.signal
    def pause(self) -> None:
        self.paused = True

    @workflow.signal
    def resume(self) -> None:
        self.paused = False

    @workflow.signal
    def stop(self) -> None:
        self.stopping = True

    @workflow.signal
    def budget_changed(self) -> None:
        """A cap that the session waits for was raised or removed: look at once whether it is enough."""
        self.budget_wait.has_budget_changed = True

    async def _take_turn(self) -> TurnResult:
        session = self.session
        workflow.set_current_details(f"{session.label}: turn {session.turn} of at most {session.max_turns}")
        ask = TurnInput(
            session_id=session.session_id,
            turn=session.turn,
            nudge=session.nudges > 0,
            lost_sandbox=session.lost_sandbox,
        )
        try:
            return await self._run_paid_activity(TurnActivities.model_turn, ask, f"turn {session.turn}")
        except ActivityError as error:
            failure = application_error(error)
            if failure is None or failure.type != CONTEXT_TOO_LONG or not await self._compact():
                raise
            return await self._run_paid_activity(
                TurnActivities.model_turn, ask, f"turn {session.turn}, compacted"
            )

    async def _compact(self) -> bool:
        ask = TurnInput(session_id=self.session.session_id, turn=self.session.turn)
        return (await self._run_paid_activity(TurnActivities.compact, ask, "compact the context")).is_shorter

    async def _call_tools(self, calls: list[PendingCall]) -> None:
        """Carry out the calls of one answer, all at once; together they take as long as the longest."""
        session = self.session
        self.call_seconds = 0.0
        session.count_writes(sum(call.may_write for call in calls), workflow.now())
        asks = [(call, self._tool_call_input(call)) for call in calls]
        inside = [self._call_tool(call, ask) for call, ask in asks if call.in_sandbox]
        outside = [self._call_tool(call, ask) for call, ask in asks if not call.in_sandbox]
        is_whole, *_ = await asyncio.gather(self._in_sandbox(*inside), *outside)
        session.active_seconds += self.call_seconds
        if inside and is_whole:
            session.journaled = next(ask.journal_key for call, ask in asks if call.in_sandbox)

    def _tool_call_input(self, call: PendingCall) -> ToolCallInput:
        session = self.session
        return ToolCallInput(
            session_id=session.session_id,
            sandbox_id=session.sandbox_id,
            sequence=turn_sequence(session.turn),
            tool_use_id=call.id,
            after=session.journaled,
        )

    async def _call_tool(self, call: PendingCall, ask: ToolCallInput) -> None:
        done = await self._run_activity(ToolCallActivities.tool_call, ask, call.name)
        self.call_seconds = max(self.call_seconds, done.active_seconds)

    async def _finish(self) -> FinishDecision:
        """End as the agent asks, once its work is safe; it has to go on if that was lost meanwhile."""
        session = self.session
        if session.keeps_work and session.unsaved and not await self._save_work():
            return FinishDecision(is_finished=False)
        call = FinishCall(
            session_id=session.session_id,
            sequence=turn_sequence(session.turn),
            unsaved_in=session.unsaved_in,
        )
        return await run_local(FinishActivities.accept_finish, call)

    async def _save_work(self) -> bool:
        """Take a checkpoint; False when the sandbox was lost before it was there."""
        session = self.session
        sandbox_id = session.sandbox_id
        assert sandbox_id, "only work in a sandbox is kept"

        async def save() -> None:
            session.count_checkpoint(await save_checkpoint(session.job_id, sandbox_id))

        return await self._in_sandbox(save())

    async def _in_sandbox(self, *works: Coroutine[object, object, None]) -> bool:
        """Do all of it at once in the sandbox; False when that was lost under it, and replaced.

        What was at work then is given up: it is never repeated, but answered.
        """
        try:
            await run_all(*works)
        except ActivityError as error:
            if not is_loss(error):
                raise
            await self._replace_sandbox()
            return False
        return True

    async def _replace_sandbox(self) -> None:
        """A new sandbox, made from the last checkpoint, and an agent that is told what is lost."""
        session = self.session
        lost = session.sandbox_id
        assert lost, "only a session that has one can lose it"
        session.count_loss(lost)
        session.sandbox_id = await provision_sandbox(
            session.job_id,
            lost,
            keep_time=lambda: require_time_left(session.active_seconds, session.time_limit_seconds),
        )
        turn = LostTurn(
            session_id=session.session_id,
            sequence=turn_sequence(session.turn),
            sandbox_id=lost,
            replacement=session.sandbox_id,
        )
        if not await run_local(SandboxLossActivities.answer_lost_calls, turn):
            session.lost_sandbox = lost

    async def _run_paid_activity(self, activity: MethodAsyncSingleParam[S, P, R], arg: P, summary: str) -> R:
        """The result of an activity that costs money, asked for again whenever it can be paid for.

        Raises SessionStopped when the session is stopped while it waits.
        """
        session = self.session
        while True:
            if session.refusal is None:
                try:
                    result = await self._run_activity(activity, arg, summary)
                    session.active_seconds += result.active_seconds
                    return result
                except ActivityError as error:
                    session.refusal = refusal_of(error)
                    if session.refusal is None or not session.waits_for_money:
                        raise
            if await self.budget_wait.wait(session.refusal, lambda: self.stopping):
                session.refusal = None
            await workflow.wait_condition(lambda: self.stopping or not self.paused)
            if self.stopping:
                raise SessionStopped
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(session)

    async def _run_activity(self, activity: MethodAsyncSingleParam[S, P, R], arg: P, summary: str) -> R:
        return await run_with_provider_waits(
            self.session.job_id, activity, arg, LONG_RUNNING, summary=summary
        )
