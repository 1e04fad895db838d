"""A run: sandbox, repository, the pipeline's steps, branch, pull request, CI, clean-up."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.jobs import CloseJob, Ending
    from activities.runs import RunActivities
    from activities.starting import RUN_WORKFLOW, RunInput
    from models.run import RunStatus
    from workflows.calls import instantly
    from workflows.control import Control
    from workflows.delivery import deliver
    from workflows.ending import played, show_end
    from workflows.pipeline import Pipeline
    from workflows.sandbox import ready_sandbox, release_sandbox


@workflow.defn(name=RUN_WORKFLOW)
class RunWorkflow:
    @workflow.init
    def __init__(self, input: RunInput) -> None:
        self.run_id = input.run_id
        self.control = Control(input.run_id)

    @workflow.run
    async def run(self, input: RunInput) -> RunStatus:
        return await played(self._work(), self._close)

    async def _work(self) -> Ending:
        plan = await instantly(RunActivities.begin_run, self.run_id)
        if plan is None:
            return Ending(status="cancelled")
        deadline = workflow.now() + timedelta(seconds=plan.time_limit_seconds)
        sandbox_id = await ready_sandbox(self.run_id)
        pipeline = Pipeline(self.run_id, plan, self.control, sandbox_id, deadline)
        await pipeline.play()
        await deliver(pipeline)
        return Ending(status="cancelled" if self.control.stopping else "completed")

    async def _close(self, ending: Ending) -> RunStatus:
        self.control.close_steps()
        await release_sandbox(self.run_id)
        await workflow.wait_condition(workflow.all_handlers_finished)
        status = await instantly(RunActivities.close_run, CloseJob(job_id=self.run_id, ending=ending))
        show_end(status, ending.message)
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

    @workflow.signal
    async def checks_changed(self) -> None:
        self.control.checks_changed = True

    @workflow.signal(name="pause")
    async def pause_by_signal(self) -> None:
        """The same as the update, for the Web UI and the command line."""
        if not self.control.steps_over:
            await self.control.pause()

    @workflow.signal(name="resume")
    async def resume_by_signal(self) -> None:
        await self.control.resume()
