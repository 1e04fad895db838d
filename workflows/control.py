"""What operators and clients may do to a run at work: hold it, let it go on, stop it, add a message."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.runs import Note, RunActivities
from kit.temporal import STATUS
from models.event import EventType
from models.run import RunStatus
from workflows.agent_session import AgentSessionWorkflow
from workflows.calls import instantly
from workflows.conversing import Session


class Control:
    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.paused = self.stopping = self.steps_over = False
        self.checks_changed = False
        """GitHub told of CI since it was last looked at."""
        self.follow_ups = 0
        self.held = timedelta(0)
        """How long the run was paused in all: that time does not count against its limit."""
        self._paused_at: datetime | None = None
        self._session: Session | None = None

    @asynccontextmanager
    async def of(self, session: Session) -> AsyncIterator[None]:
        """Pass on to the session at work what happens meanwhile, and what happened while it was started."""
        self._session = session
        try:
            if self.paused:
                await session.signal(AgentSessionWorkflow.pause)
            if self.stopping:
                await session.signal(AgentSessionWorkflow.stop)
            yield
        finally:
            self._session = None

    async def may_go_on(self) -> None:
        await workflow.wait_condition(lambda: self.stopping or not self.paused)

    def close_steps(self) -> None:
        self.steps_over = True

    def must_be_at_work(self, what: str) -> None:
        """Refuse a command that comes too late."""
        if self.steps_over:
            raise ApplicationError(
                f"The run's steps are over: it cannot be {what} any more.", type="CONFLICT"
            )

    async def pause(self) -> None:
        if self.paused:
            return
        self.paused, self._paused_at = True, workflow.now()
        await self._note(EventType.run_paused, RunStatus.paused)
        if self._session:
            await self._session.signal(AgentSessionWorkflow.pause)

    async def resume(self) -> None:
        if self._paused_at is None:
            return
        self.held += workflow.now() - self._paused_at
        self.paused, self._paused_at = False, None
        await self._note(EventType.run_resumed, RunStatus.running)
        if self._session:
            await self._session.signal(AgentSessionWorkflow.resume)

    async def stop(self) -> None:
        if self.stopping:
            return
        self.stopping = True
        await self._note(EventType.run_stopping, RunStatus.running)
        if self._session:
            await self._session.signal(AgentSessionWorkflow.stop)

    async def _note(self, event: EventType, status: RunStatus) -> None:
        note = Note(run_id=self.run_id, event=event)
        await instantly(RunActivities.note, note)
        workflow.upsert_search_attributes([STATUS.value_set(status)])
