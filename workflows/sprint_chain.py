"""A sprint chain: one run after another, held between two of them, and ended after the one at work."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.chain_starting import CHAIN_WORKFLOW, ChainInput
    from activities.sprint_chains import ChainNote, CloseChain, Sprint, SprintChains, SprintEnd
    from kit.temporal import STATUS
    from models.run import RunStatus
    from models.sprint_chain import ChainStatus
    from workflows.calls import cause, instantly
    from workflows.child_run import play_run


@workflow.defn(name=CHAIN_WORKFLOW)
class SprintChainWorkflow:
    @workflow.init
    def __init__(self, input: ChainInput) -> None:
        self.chain = input.model_copy()
        self.stopping = self.over = False
        self.jump: int | None = None

    @workflow.run
    async def run(self, input: ChainInput) -> ChainStatus:
        ending = CloseChain(
            chain_id=input.chain_id, status=ChainStatus.failed, code="INTERNAL", message="A bug."
        )
        try:
            ending = await self._work()
        except asyncio.CancelledError:
            ending = CloseChain(chain_id=input.chain_id, status=ChainStatus.cancelled)
        except FailureError as error:
            ending = self._ending_of(error)
        self.over = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        status = await instantly(SprintChains.close_chain, ending)
        workflow.upsert_search_attributes([STATUS.value_set(status)])
        workflow.set_current_details(f"{status.capitalize()}. {ending.message or ''}")
        return status

    async def _work(self) -> CloseChain:
        chain = self.chain
        if chain.index is None:
            plan = await instantly(SprintChains.begin_chain, chain.chain_id)
            if plan is None:
                return CloseChain(chain_id=chain.chain_id, status=ChainStatus.cancelled)
            chain.index, chain.count = plan.index, plan.count
        while chain.index < chain.count:
            await workflow.wait_condition(self._may_go_on)
            if self.stopping:
                return CloseChain(chain_id=chain.chain_id, status=ChainStatus.cancelled)
            if self.jump is not None:
                chain.index, self.jump = self.jump, None
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(chain)  # nothing was awaited since: no command is lost on the way
            status = await self._play(Sprint(chain_id=chain.chain_id, index=chain.index))
            if status is not RunStatus.completed and not self.stopping:
                message = f"The run of sprint index {chain.index} is {status}: look at it, then resume."
                return CloseChain(
                    chain_id=chain.chain_id, status=ChainStatus.failed, code="SPRINT_FAILED", message=message
                )
            chain.index += 1
        ended = ChainStatus.cancelled if self.stopping else ChainStatus.completed
        return CloseChain(chain_id=chain.chain_id, status=ended)

    def _may_go_on(self) -> bool:
        return (self.stopping or not self.chain.paused) and workflow.all_handlers_finished()

    async def _play(self, sprint: Sprint) -> RunStatus:
        workflow.set_current_details(f"Sprint index {sprint.index} of {self.chain.count} is at work.")
        run = await instantly(SprintChains.begin_sprint, sprint)
        await play_run(run)
        return await instantly(SprintChains.end_sprint, SprintEnd(run_id=run.run_id, **sprint.model_dump()))

    def _ending_of(self, error: FailureError) -> CloseChain:
        if is_cancelled_exception(error):
            return CloseChain(chain_id=self.chain.chain_id, status=ChainStatus.cancelled)
        failure = cause(error)
        code, message = (failure.type, failure.message) if failure else ("TIMEOUT", str(error))
        return CloseChain(chain_id=self.chain.chain_id, status=ChainStatus.failed, code=code, message=message)

    @workflow.update(name="pause")
    async def pause(self) -> None:
        """Let the active sprint finish, then hold."""
        await self._hold(True)

    @workflow.update(name="resume")
    async def resume(self, index: int | None = None) -> None:
        """Go on, from another sprint index if one is given."""
        self.jump = index if index is not None else self.jump
        await self._hold(False)

    @workflow.update(name="stop")
    async def stop(self) -> None:
        """Let the active sprint finish, then end as cancelled."""
        self.stopping = True

    @pause.validator
    @stop.validator
    def _may_change(self) -> None:
        if self.over:
            raise ApplicationError("The chain has ended.", type="CONFLICT")

    @workflow.signal(name="pause")
    async def pause_by_signal(self) -> None:
        await self._hold(True)

    @workflow.signal(name="resume")
    async def resume_by_signal(self) -> None:
        await self._hold(False)

    async def _hold(self, paused: bool) -> None:
        if self.over or self.chain.paused is paused:
            return
        self.chain.paused = paused
        await instantly(SprintChains.note_chain, ChainNote(chain_id=self.chain.chain_id, paused=paused))
        workflow.upsert_search_attributes([STATUS.value_set("paused" if paused else "running")])
