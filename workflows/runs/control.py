"""What operators and clients may do to a run at work: hold it, let it go on, stop it, add a message.

One command at a time: each is written down and handed on to the session at work before the next is looked at,
so that the last one holds, however long the first took.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from activities.runs.lifecycle import RunActivities, RunCommandNote
from kit.temporal import STATUS
from models.event import EventType
from models.runs.run import RunStatus
from workflows.activity_calls import application_error, run_local
from workflows.agent.child_session import ChildSession
from workflows.agent.session import AgentSessionWorkflow


class RunControl:
    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.paused = self.stopping = self.steps_finished = False
        self.checks_changed = False
        """GitHub told of CI since it was last looked at."""
        self.has_webhooks = False
        """GitHub has told of it before."""
        self.follow_ups = 0
        self._session: ChildSession | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def attach(self, session: ChildSession) -> AsyncIterator[None]:
        """Pass on to the session at work what happens meanwhile, and what happened while it was started."""
        self._session = session
        try:
            if self.paused:
                await self._forward(AgentSessionWorkflow.pause)
            if self.stopping:
                await self._forward(AgentSessionWorkflow.stop)
            yield
        finally:
            self._session = None

    async def wait_until_allowed(self) -> None:
        """Wait until no command is being taken and none holds the run."""
        while not self._may_proceed():
            await workflow.wait_condition(self._may_proceed)

    def _may_proceed(self) -> bool:
        return not self._lock.locked() and (self.stopping or not self.paused)

    def open_steps(self) -> None:
        """Steps follow once more, so that commands are taken again."""
        self.steps_finished = False

    def close_steps(self) -> None:
        self.steps_finished = True

    def require_running(self, what: str) -> None:
        """Refuse a command that comes too late."""
        if self.steps_finished:
            raise ApplicationError(
                f"The run's steps are over: it cannot be {what} any more.", type="CONFLICT"
            )

    async def pause(self) -> None:
        async with self._lock:
            if self.paused:
                return
            self.require_running("paused")
            await self._record(EventType.run_paused, RunStatus.paused)
            self.paused = True
            await self._forward(AgentSessionWorkflow.pause)

    async def resume(self) -> None:
        async with self._lock:
            if not self.paused:
                return
            await self._record(EventType.run_resumed, RunStatus.running)
            self.paused = False
            await self._forward(AgentSessionWorkflow.resume)

    async def stop(self) -> None:
        async with self._lock:
            if self.stopping:
                return
            self.require_running("stopped")
            await self._record(EventType.run_stopping, RunStatus.running)
            self.stopping = True
            await self._forward(AgentSessionWorkflow.stop)

    async def _record(self, event: EventType, status: RunStatus) -> None:
        """Write it down, or raise an ApplicationError that says why not."""
        note = RunCommandNote(run_id=self.run_id, event=event)
        try:
            await run_local(RunActivities.record_command, note)
        except ActivityError as error:
            raise application_error(error) or error from None
        workflow.upsert_search_attributes([STATUS.value_set(status)])

    async def _forward(self, command: Callable[[AgentSessionWorkflow], None]) -> None:
        """Signal the session at work; one that has ended by itself needs no command any more."""
        if self._session is None:
            return
        try:
            await self._session.signal(command)
        except FailureError as error:
            workflow.logger.info("the session has ended before it was told: %s", error)
