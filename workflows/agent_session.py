"""An agent's session: turn after turn until it finishes.  Everything that talks to a model uses it."""

import asyncio
from datetime import datetime
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.types import MethodAsyncSingleParam

with workflow.unsafe.imports_passed_through():
    from activities.agent_turns import AgentTurns, TurnInput
    from activities.failures import CONTEXT_TOO_LONG, SANDBOX_GONE
    from activities.outcomes import Call, TurnOutcome
    from activities.tool_calls import ToolCallInput, ToolCalls
    from kit.temporal import LONG
    from models.agent_session import answer_place
    from workflows.calls import cause, patiently
    from workflows.sandbox import ready_sandbox
    from workflows.session_limits import SessionInput, SessionOutcome, keep_budget, keep_limits

S = TypeVar("S")
P = TypeVar("P")
R = TypeVar("R")


@workflow.defn(name="AgentSession")
class AgentSessionWorkflow:
    @workflow.init
    def __init__(self, input: SessionInput) -> None:
        self.session = input.model_copy()
        self.paused_at: datetime | None = None
        self.stopping = False
        self.sandbox_lock = asyncio.Lock()

    @workflow.run
    async def run(self, input: SessionInput) -> SessionOutcome:
        session = self.session
        while True:
            await workflow.wait_condition(lambda: self.stopping or self.paused_at is None)
            if self.stopping:
                return SessionOutcome(finished=False, sandbox_id=session.sandbox_id)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(session)
            keep_limits(session, workflow.now())
            outcome = await self._take_turn()
            keep_budget(session, outcome)
            if outcome.next == "finished":
                return SessionOutcome(finished=True, verdict=outcome.verdict, sandbox_id=session.sandbox_id)
            await asyncio.gather(*(self._call_tool(call) for call in outcome.calls))
            session.nudges = session.nudges + 1 if outcome.next == "nudge" else 0
            session.turn += 1
            if outcome.compact:
                await self._compact()

    @workflow.signal
    def pause(self) -> None:
        self.paused_at = self.paused_at or workflow.now()

    @workflow.signal
    def resume(self) -> None:
        if self.paused_at:
            self.session.deadline += workflow.now() - self.paused_at
            self.paused_at = None

    @workflow.signal
    def stop(self) -> None:
        self.stopping = True

    async def _take_turn(self) -> TurnOutcome:
        session = self.session
        workflow.set_current_details(f"{session.label}: turn {session.turn} of at most {session.max_turns}")
        ask = TurnInput(session_id=session.session_id, turn=session.turn, nudge=session.nudges > 0)
        try:
            return await self._agents(AgentTurns.model_turn, ask, f"turn {session.turn}")
        except ActivityError as error:
            failure = cause(error)
            if failure is None or failure.type != CONTEXT_TOO_LONG or not await self._compact():
                raise
            return await self._agents(AgentTurns.model_turn, ask, f"turn {session.turn}, compacted")

    async def _compact(self) -> bool:
        ask = TurnInput(session_id=self.session.session_id, turn=self.session.turn)
        return await self._agents(AgentTurns.compact, ask, "compact the context")

    async def _call_tool(self, call: Call) -> None:
        """Carry out a call; in a sandbox made anew from the last checkpoint if the old one is lost."""
        session = self.session
        while True:
            used = session.sandbox_id
            ask = ToolCallInput(
                session_id=session.session_id, sandbox_id=used, sequence=answer_place(session.turn),
                tool_use_id=call.id,
            )  # fmt: skip
            try:
                return await self._agents(ToolCalls.tool_call, ask, call.name)
            except ActivityError as error:
                failure = cause(error)
                if failure is None or failure.type != SANDBOX_GONE:
                    raise
            async with self.sandbox_lock:
                if session.sandbox_id == used:
                    session.sandbox_id = await ready_sandbox(session.job_id, lost=used)

    async def _agents(self, activity: MethodAsyncSingleParam[S, P, R], arg: P, summary: str) -> R:
        return await patiently(self.session.job_id, activity, arg, LONG, summary=summary)
