"""A sandbox of one's own: kept until its time is over; an agent works in it on what its user says."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.jobs.launch import JobInput
    from activities.jobs.lifecycle import CloseJob, JobResult
    from activities.sandboxes.lifecycle import SandboxRef
    from activities.sandboxes.sandbox_jobs import AgentRound, RoundEnd, SandboxJobActivities
    from models.jobs.job_registry import SANDBOX_WORKFLOW
    from models.sandboxes.sandbox_job import SANDBOX_LOST, SandboxJobStatus
    from workflows.activity_calls import application_error, run_local
    from workflows.agent.child_session import start_session
    from workflows.agent.limits import SessionInput
    from workflows.jobs.completion import publish_result, run_and_close
    from workflows.sandboxes.lifecycle import provision_sandbox, release_sandbox


class SandboxInput(JobInput):
    """Where a sandbox's workflow is; what starts it says nothing of that."""

    sandbox_id: str | None = None
    ends_at: datetime | None = None


@workflow.defn(name=SANDBOX_WORKFLOW)
class SandboxWorkflow:
    @workflow.init
    def __init__(self, input: SandboxInput) -> None:
        self.input = input.model_copy()
        self.id = input.job_id
        self.messages_received, self.messages_handled = 1, 0
        """Messages of the user that it was told of, and that it has looked for; it begins with a look."""
        self.is_finished = False

    @workflow.run
    async def run(self, input: SandboxInput) -> SandboxJobStatus:
        return await run_and_close(self._work(), self._close)

    async def _work(self) -> JobResult:
        if self.input.ends_at is None:
            if not await run_local(SandboxJobActivities.begin_sandbox_job, self.id):
                return JobResult(status="cancelled")
            self.input.sandbox_id = await provision_sandbox(self.id)
            self.input.ends_at = await run_local(SandboxJobActivities.start_lifetime, self.id)
        ref = SandboxRef(job_id=self.id, sandbox_id=str(self.input.sandbox_id))
        while await self._wait_for_message(self.input.ends_at):
            self.messages_handled = self.messages_received
            await self._run_rounds(ref, self.input.ends_at)
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(self.input)
        return JobResult(status="completed")

    async def _wait_for_message(self, moment: datetime) -> bool:
        """Wait for a message of the user; False when the time is over."""
        workflow.set_current_details(f"Kept until {moment.isoformat(timespec='seconds')}.")
        left = moment - workflow.now()
        if left <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(
                lambda: self.messages_received > self.messages_handled, timeout=left
            )
        except TimeoutError:
            return False
        return True

    async def _run_rounds(self, ref: SandboxRef, ends_at: datetime) -> None:
        """Rounds until no message waits any more; a failed one is told in the log and leaves the sandbox."""
        while (begun := await run_local(SandboxJobActivities.begin_round, ref)) is not None:
            error = await self._run_round(begun, ref, ends_at)
            end = RoundEnd(**ref.model_dump(), session_id=begun.session_id, turn=begun.turn, error=error)
            await run_local(SandboxJobActivities.end_round, end)
            if error is not None:
                return

    async def _run_round(self, begun: AgentRound, ref: SandboxRef, ends_at: datetime) -> str | None:
        """What the agent failed of; raises when the sandbox is lost.  It is stopped when the time is over."""
        told = SessionInput(
            session_id=begun.session_id,
            job_id=self.id,
            sandbox_id=ref.sandbox_id,
            label=begun.label,
            max_turns=begun.max_turns,
            turn=begun.turn,
        )
        session = await start_session(told)
        left = max(ends_at - workflow.now(), timedelta(0))
        try:
            done, _ = await workflow.wait([session], timeout=left.total_seconds())
        except asyncio.CancelledError:
            session.cancel()
            await workflow.wait([session])  # so that nobody uses the sandbox any more when it is removed
            raise
        if not done:
            session.cancel()
        try:
            await session
        except (FailureError, asyncio.CancelledError) as error:
            if workflow.cancellation_reason() is not None:
                raise
            if not done or not isinstance(error, FailureError) or is_cancelled_exception(error):
                return "The time of the sandbox was over, or the agent was stopped."
            failure = application_error(error)
            if failure is not None and failure.type == SANDBOX_LOST:
                raise
            return failure.message if failure is not None else "It took longer than it may."
        return None

    async def _close(self, ending: JobResult) -> SandboxJobStatus:
        self.is_finished = True
        await release_sandbox(self.id)
        await workflow.wait_condition(workflow.all_handlers_finished)
        close = CloseJob(job_id=self.id, ending=ending)
        status = await run_local(SandboxJobActivities.close_sandbox_job, close)
        publish_result(status, ending.message)
        return status

    @workflow.update
    async def follow_up(self, message_id: str) -> None:
        """A message, already in the database, that the agent is told at its next turn."""
        self.messages_received += 1

    @follow_up.validator
    def _may_follow_up(self, message_id: str) -> None:
        if self.is_finished:
            raise ApplicationError("The sandbox is being removed: it takes no messages.", type="CONFLICT")
