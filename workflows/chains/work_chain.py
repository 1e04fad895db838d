"""A work chain: one issue after another, each by a run of its own, held between two of them."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.chains.work_chain import ChainIssue, IssueEnd, WorkChainActivities
    from activities.jobs.launch import ChainInput, RunInput
    from activities.jobs.lifecycle import JobResult
    from models.chains.chain import ChainStatus
    from models.jobs.job_registry import WORK_CHAIN_WORKFLOW
    from models.runs.run import RunStatus
    from workflows.activity_calls import raise_if_cancelled, run_local
    from workflows.chains.control import ChainControl
    from workflows.runs.child_run import run_child


@workflow.defn(name=WORK_CHAIN_WORKFLOW)
class WorkChainWorkflow:
    @workflow.init
    def __init__(self, input: ChainInput) -> None:
        self.chain = input.model_copy()
        self.control = ChainControl(self.chain)

    @workflow.run
    async def run(self, input: ChainInput) -> ChainStatus:
        return await self.control.run(self._work(), WorkChainActivities.close_work_chain)

    async def _work(self) -> JobResult:
        chain = self.chain
        if chain.index is None:
            plan = await run_local(WorkChainActivities.begin_work_chain, chain.chain_id)
            if plan is None:
                return JobResult(status="cancelled")
            chain.index, chain.count = plan.index, plan.count
        while chain.index < chain.count:
            await workflow.wait_condition(self._may_proceed)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(chain)  # nothing was awaited since: no command is lost on the way
            place = ChainIssue(chain_id=chain.chain_id, index=chain.index)
            run = await run_local(WorkChainActivities.begin_issue, place)
            if run is not None:
                status = await self._run_issue(run, place)
                raise_if_cancelled()
                if status is not RunStatus.completed:
                    return self._failure(run, status)
            chain.index += 1
        return JobResult(status="completed")

    def _may_proceed(self) -> bool:
        return not self.chain.paused and workflow.all_handlers_finished()

    async def _run_issue(self, run: RunInput, place: ChainIssue) -> RunStatus:
        workflow.set_current_details(f"Issue index {place.index} of {self.chain.count}: {run.name}")
        await run_child(run)
        return await run_local(
            WorkChainActivities.end_issue, IssueEnd(run_id=run.run_id, **place.model_dump())
        )

    def _failure(self, run: RunInput, status: RunStatus) -> JobResult:
        message = (
            f"Run {run.number} on issue index {self.chain.index}, “{run.name}”, is {status}: "
            "look at it, then start the chain again."
        )
        return JobResult(status="failed", code="ISSUE_FAILED", message=message, run_id=run.run_id)

    @workflow.update(name="pause")
    async def pause(self) -> None:
        """Let the active issue finish, then hold."""
        await self.control.set_paused(True)

    @workflow.update(name="resume")
    async def resume(self) -> None:
        await self.control.set_paused(False)

    @pause.validator
    @resume.validator
    def _may_change(self) -> None:
        self.control.require_running()

    @workflow.signal(name="pause")
    async def pause_by_signal(self) -> None:
        await self.control.set_paused(True)

    @workflow.signal(name="resume")
    async def resume_by_signal(self) -> None:
        await self.control.set_paused(False)
