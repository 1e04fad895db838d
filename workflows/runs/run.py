"""A run: sandbox, repository, the pipeline's steps, branch, pull request, CI, clean-up."""

from contextlib import suppress
from datetime import timedelta
from typing import NoReturn

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.jobs.launch import RunInput
    from activities.jobs.lifecycle import CloseJob, JobResult
    from activities.runs.lifecycle import RunActivities, RunQueued
    from activities.runs.queue_signals import QUEUE_TURN_SIGNAL
    from models.jobs.job_registry import RUN_WORKFLOW
    from models.runs.run import RunStatus
    from workflows.activity_calls import run_local
    from workflows.jobs.completion import publish_result, run_and_close, to_job_result
    from workflows.runs.control import RunControl
    from workflows.runs.delivery import deliver, push_unfinished_work
    from workflows.runs.pipeline import Pipeline, Progress
    from workflows.sandboxes.lifecycle import release_sandbox

FIRST_POLL_INTERVAL, MAX_POLL_INTERVAL = timedelta(minutes=1), timedelta(minutes=10)
"""How often a queued run that is not signalled asks by itself whether it may begin: ever more rarely."""


class RunState(RunInput):
    """Where a run's workflow is; what starts it says nothing of that."""

    progress: Progress | None = None
    follow_ups: int = 0
    """Number of messages that came while it was queued."""


@workflow.defn(name=RUN_WORKFLOW)
class RunWorkflow:
    @workflow.init
    def __init__(self, input: RunState) -> None:
        self.input = input
        self.run_id = input.run_id
        self.control = RunControl(input.run_id)
        self.control.follow_ups = input.follow_ups if input.progress is None else input.progress.follow_ups
        self.has_queue_turn = False

    @workflow.run
    async def run(self, input: RunState) -> RunStatus:
        return await run_and_close(self._work(), self._close)

    async def _work(self) -> JobResult:
        pipeline = await self._begin()
        if pipeline is None:
            return JobResult(status="cancelled")
        try:
            await pipeline.run()
        except FailureError as error:
            return await push_unfinished_work(pipeline, to_job_result(error))
        await deliver(pipeline)
        return JobResult(status="cancelled" if self.control.stopping else "completed")

    async def _begin(self) -> Pipeline | None:
        """None when the run was cancelled before it began."""
        if self.input.progress is not None:
            return Pipeline.resume(
                self.run_id, self.control, self.input.progress, self._continue_in_new_history
            )
        plan = await run_local(RunActivities.begin_run, self.run_id)
        pause = FIRST_POLL_INTERVAL
        while isinstance(plan, RunQueued):
            await self._wait_for_turn(pause)
            if self.control.stopping:
                return None
            pause = min(pause * 2, MAX_POLL_INTERVAL)
            plan = await run_local(RunActivities.begin_run, self.run_id)
        if plan is None:
            return None
        return Pipeline(self.run_id, plan, self.control, self._continue_in_new_history)

    async def _wait_for_turn(self, pause: timedelta) -> None:
        """Wait for the signal, for `pause` at most; once a person has paused the run, until it is resumed."""
        workflow.set_current_details("Queued: the project has as many runs at work as it may have.")
        with suppress(TimeoutError):
            await workflow.wait_condition(self._may_ask, timeout=pause)
        await self.control.wait_until_allowed()
        self.has_queue_turn = False
        if self.control.stopping:
            return
        if workflow.info().is_continue_as_new_suggested() and workflow.all_handlers_finished():
            workflow.continue_as_new(self.input.model_copy(update={"follow_ups": self.control.follow_ups}))

    def _may_ask(self) -> bool:
        return self.has_queue_turn or self.control.stopping or self.control.paused

    def _continue_in_new_history(self, progress: Progress) -> NoReturn:
        workflow.continue_as_new(self.input.model_copy(update={"progress": progress}))

    async def _close(self, ending: JobResult) -> RunStatus:
        self.control.close_steps()
        await release_sandbox(self.run_id)
        await workflow.wait_condition(workflow.all_handlers_finished)
        status = await run_local(RunActivities.close_run, CloseJob(job_id=self.run_id, ending=ending))
        publish_result(status, ending.message)
        return status

    @workflow.update(name="pause")
    async def pause(self) -> None:
        """Hold after the current turn, for as long as wished."""
        await self.control.pause()

    @pause.validator
    def _may_pause(self) -> None:
        self.control.require_running("paused")

    @workflow.update(name="resume")
    async def resume(self) -> None:
        await self.control.resume()

    @workflow.update
    async def graceful_stop(self) -> None:
        """Stop after the current turn: what was done is pushed, no pull request is opened."""
        await self.control.stop()

    @graceful_stop.validator
    def _may_stop(self) -> None:
        self.control.require_running("stopped")

    @workflow.update
    async def follow_up(self, message_id: str) -> None:
        """A message, already in the database, that the agent is told at its next turn."""
        self.control.follow_ups += 1

    @follow_up.validator
    def _may_follow_up(self, message_id: str) -> None:
        self.control.require_running("told anything")

    @workflow.signal(name=QUEUE_TURN_SIGNAL)
    async def turn_came(self) -> None:
        """There may be room for it: it asks whether it may begin."""
        self.has_queue_turn = True

    @workflow.signal
    async def checks_changed(self) -> None:
        self.control.checks_changed = self.control.has_webhooks = True

    @workflow.signal(name="pause")
    async def pause_by_signal(self) -> None:
        """The same as the update, for the Web UI and the command line; one that is refused changes nothing.

        A signal's handler must not raise: that would fail the workflow.
        """
        with suppress(FailureError):
            await self.control.pause()

    @workflow.signal(name="resume")
    async def resume_by_signal(self) -> None:
        with suppress(FailureError):
            await self.control.resume()
