"""A run: sandbox, repository, the pipeline's steps, branch, pull request, CI, clean-up."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from activities.runs import CloseRun, RunActivities
    from activities.sandboxes import SandboxActivities
    from activities.starting import RUN_WORKFLOW, RunInput
    from kit.shielding import begun
    from kit.temporal import QUICK, STATUS
    from models.run import RunStatus
    from workflows.calls import cause, instantly
    from workflows.control import Control
    from workflows.delivery import deliver
    from workflows.ending import ending_of
    from workflows.pipeline import Pipeline
    from workflows.sandbox import ready_sandbox

BUG = "The workflow failed of a bug; its history in Temporal's Web UI has the details."


@workflow.defn(name=RUN_WORKFLOW)
class RunWorkflow:
    @workflow.init
    def __init__(self, input: RunInput) -> None:
        self.run_id = input.run_id
        self.control = Control(input.run_id)

    @workflow.run
    async def run(self, input: RunInput) -> RunStatus:
        ending = CloseRun(run_id=self.run_id, status=RunStatus.failed, code="INTERNAL", message=BUG)
        try:
            ending = await self._work()
        except (ActivityError, ChildWorkflowError, asyncio.CancelledError) as error:
            ending = ending_of(self.run_id, error)
        finally:
            closing = begun(self._close(ending))
            with suppress(asyncio.CancelledError):  # which comes too late now
                await asyncio.shield(closing)
            status = await closing
        return status

    async def _work(self) -> CloseRun:
        plan = await instantly(RunActivities.begin_run, self.run_id)
        if plan is None:
            return CloseRun(run_id=self.run_id, status=RunStatus.cancelled)
        deadline = workflow.now() + timedelta(seconds=plan.time_limit_seconds)
        sandbox_id = await ready_sandbox(self.run_id)
        pipeline = Pipeline(self.run_id, plan, self.control, sandbox_id, deadline)
        await pipeline.play()
        await deliver(pipeline)
        status = RunStatus.cancelled if self.control.stopping else RunStatus.completed
        return CloseRun(run_id=self.run_id, status=status)

    async def _close(self, ending: CloseRun) -> RunStatus:
        """Kill the sandbox, then say the last word; a sandbox that cannot be killed is left to the sweep."""
        self.control.close_steps()
        try:
            await workflow.execute_activity_method(
                SandboxActivities.release, self.run_id, **QUICK, summary="kill the sandbox"
            )
        except ActivityError as error:
            workflow.logger.warning("the sandbox could not be killed: %s", cause(error))
        await workflow.wait_condition(workflow.all_handlers_finished)
        status = await instantly(RunActivities.close_run, ending)
        workflow.upsert_search_attributes([STATUS.value_set(status)])
        workflow.set_current_details(f"{status.capitalize()}. {ending.message or ''}")
        return status

    @workflow.update(name="pause")
    async def pause(self) -> None:
        """Hold after the current turn, for as long as wished."""
        await self.control.pause()

    @pause.validator
    def _may_pause(self) -> None:
        self.control.must_be_at_work("paused")

    @workflow.update(name="resume")
    async def resume(self) -> None:
        await self.control.resume()

    @workflow.update
    async def graceful_stop(self) -> None:
        """Stop after the current turn: what was done is pushed, no pull request is opened."""
        await self.control.stop()

    @graceful_stop.validator
    def _may_stop(self) -> None:
        self.control.must_be_at_work("stopped")

    @workflow.update
    async def follow_up(self, message_id: str) -> None:
        """A message, already in the database, that the agent is told at its next turn."""
        self.control.follow_ups += 1

    @follow_up.validator
    def _may_follow_up(self, message_id: str) -> None:
        self.control.must_be_at_work("told anything")

    @workflow.signal(name="pause")
    async def pause_by_signal(self) -> None:
        """The same as the update, for the Web UI and the command line."""
        if not self.control.steps_over:
            await self.control.pause()

    @workflow.signal(name="resume")
    async def resume_by_signal(self) -> None:
        await self.control.resume()
