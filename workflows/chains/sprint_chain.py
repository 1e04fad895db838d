"""A sprint chain: one run after another, held between two of them, and ended after the one at work."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.chains.sprint_chain import Sprint, SprintChainActivities, SprintEnd
    from activities.jobs.launch import ChainInput, RunInput
    from activities.jobs.lifecycle import JobResult
    from models.chains.chain import ChainStatus
    from models.jobs.job_registry import SPRINT_CHAIN_WORKFLOW
    from models.runs.run import RunStatus
    from workflows.activity_calls import raise_if_cancelled, run_local
    from workflows.chains.control import ChainControl
    from workflows.runs.child_run import run_child


STOPPED_LATE_MESSAGE = "It was told to stop during its last sprint: all of them are done."


@workflow.defn(name=SPRINT_CHAIN_WORKFLOW)
class SprintChainWorkflow:
    @workflow.init
    def __init__(self, input: ChainInput) -> None:
        self.chain = input.model_copy()
        self.control = ChainControl(self.chain)
        self.stopping = False
        self.next_index: int | None = None

    @workflow.run
    async def run(self, input: ChainInput) -> ChainStatus:
        return await self.control.run(self._work(), SprintChainActivities.close_chain)

    async def _work(self) -> JobResult:
        chain = self.chain
        if chain.index is None:
            plan = await run_local(SprintChainActivities.begin_chain, chain.chain_id)
            if plan is None:
                return JobResult(status="cancelled")
            chain.index, chain.count = plan.index, plan.count
        while chain.index < chain.count:
            await workflow.wait_condition(self._may_proceed)
            if self.stopping:
                return JobResult(status="cancelled")
            if self.next_index is not None:
                chain.index, self.next_index = self.next_index, None
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(chain)  # nothing was awaited since: no command is lost on the way
            sprint = Sprint(chain_id=chain.chain_id, index=chain.index)
            run = await run_local(SprintChainActivities.begin_sprint, sprint)
            status = await self._run_sprint(run, sprint)
            raise_if_cancelled()
            if status is not RunStatus.completed:
                return JobResult(status="cancelled") if self.stopping else self._failure(run, status)
            chain.index += 1
        return JobResult(status="completed", message=STOPPED_LATE_MESSAGE if self.stopping else None)

    def _may_proceed(self) -> bool:
        return (self.stopping or not self.chain.paused) and workflow.all_handlers_finished()

    async def _run_sprint(self, run: RunInput, sprint: Sprint) -> RunStatus:
        workflow.set_current_details(f"Sprint index {sprint.index} of {self.chain.count} is at work.")
        await run_child(run)
        return await run_local(
            SprintChainActivities.end_sprint, SprintEnd(run_id=run.run_id, **sprint.model_dump())
        )

    def _failure(self, run: RunInput, status: RunStatus) -> JobResult:
        message = f"Run {run.number} of sprint index {self.chain.index} is {status}: look at it, then resume."
        return JobResult(status="failed", code="SPRINT_FAILED", message=message, run_id=run.run_id)

    @workflow.update(name="pause")
    async def pause(self) -> None:
        """Let the active sprint finish, then hold."""
        await self.control.set_paused(True)

    @workflow.update(name="resume")
    async def resume(self, index: int | None = None) -> None:
        """Go on, from another sprint index if one is given."""
        self.next_index = index if index is not None else self.next_index
        await self.control.set_paused(False)

    @workflow.update(name="stop")
    async def stop(self) -> None:
        """Let the active sprint finish, then end as cancelled; as completed if that was the last one."""
        self.stopping = True
        if workflow.patched("sprint-chain-stopping"):
            await run_local(SprintChainActivities.mark_stopping, self.chain.chain_id)

    @pause.validator
    def _may_pause(self) -> None:
        self.control.require_running()
        if self.stopping:
            raise ApplicationError("The chain is stopping: it cannot be paused any more.", type="CONFLICT")

    @stop.validator
    def _may_stop(self) -> None:
        self.control.require_running()

    @workflow.signal(name="pause")
    async def pause_by_signal(self) -> None:
        await self.control.set_paused(True)

    @workflow.signal(name="resume")
    async def resume_by_signal(self) -> None:
        await self.control.set_paused(False)
