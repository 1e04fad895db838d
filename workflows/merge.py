"""The merge of several pull requests into one: each tried in turn, what breaks the whole left out."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.integrating import Integrating, PullOutcome, PullPlace
    from activities.integrations import Conflict, IntegrationPlan, Integrations
    from activities.job_starting import INTEGRATION_WORKFLOW, JobInput
    from activities.jobs import CloseJob, Ending
    from activities.sandboxes import SandboxRef
    from activities.unified_pull_requests import UnifiedPullRequests
    from kit.temporal import LONG, PATIENT
    from models.merge_job import MergeStatus
    from workflows.calls import WHOLE, cause, instantly, patiently
    from workflows.conversing import begin_session
    from workflows.ending import played, show_end
    from workflows.sandbox import ready_sandbox, release_sandbox, surviving
    from workflows.session_limits import SessionInput

NOTHING = "None of the pull requests could be merged; the job's `conflicts` say why of each."


@workflow.defn(name=INTEGRATION_WORKFLOW)
class MergeWorkflow:
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        self.id = input.job_id
        self.sandbox_id = ""

    @workflow.run
    async def run(self, input: JobInput) -> MergeStatus:
        return await played(self._work(), self._close)

    async def _work(self) -> Ending:
        plan = await instantly(Integrations.begin_integration, self.id)
        if plan is None:
            return Ending(status="cancelled")
        deadline = workflow.now() + timedelta(seconds=plan.time_limit_seconds)
        await patiently(
            self.id, Integrating.describe_pulls, self.id, PATIENT, summary="read the pull requests"
        )
        self.sandbox_id = await ready_sandbox(self.id)
        for number in plan.numbers:
            workflow.set_current_details(f"Merges #{number}, one of {len(plan.numbers)}.")
            await self._merge(number, plan, deadline)
        pushed, self.sandbox_id = await surviving(self.id, self.sandbox_id, self._push)
        if not pushed:
            return Ending(status="failed", code="NOTHING_MERGED", message=NOTHING)
        await patiently(
            self.id, UnifiedPullRequests.open_unified, self.id, PATIENT, summary="open the pull request",
            cancellation=WHOLE,
        )  # fmt: skip
        await patiently(
            self.id, UnifiedPullRequests.tell_originals, self.id, PATIENT, summary="comment the originals"
        )
        return Ending(status="completed")

    async def _merge(self, number: int, plan: IntegrationPlan, deadline: datetime) -> None:
        """Settle one pull request, with an agent's help where it conflicts."""
        tried, self.sandbox_id = await surviving(
            self.id, self.sandbox_id, lambda box: self._settle(number, box)
        )
        if tried.outcome == "conflict":
            gave_up = await self._solve(number, tried.paths, plan, deadline)
            _, self.sandbox_id = await surviving(
                self.id, self.sandbox_id, lambda box: self._conclude(number, box, gave_up)
            )

    async def _solve(
        self, number: int, paths: list[str], plan: IntegrationPlan, deadline: datetime
    ) -> str | None:
        """Let an agent solve the conflicts; why it could not, where it could not."""
        where = Conflict(job_id=self.id, sandbox_id=self.sandbox_id, number=number, paths=paths)
        opened = await instantly(Integrations.open_solver, where)
        told = SessionInput(
            session_id=opened.session_id, job_id=self.id, sandbox_id=self.sandbox_id, label=opened.label,
            max_turns=opened.max_turns, max_cost_usd=plan.max_cost_usd, deadline=deadline,
        )  # fmt: skip
        try:
            self.sandbox_id = (await (await begin_session(told))).sandbox_id
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            failure = cause(error)
            return failure.message if failure else "The agent took too long."
        return None

    async def _settle(self, number: int, sandbox_id: str) -> PullOutcome:
        place = PullPlace(job_id=self.id, sandbox_id=sandbox_id, number=number)
        return await patiently(self.id, Integrating.merge_pull, place, LONG, summary=f"merge #{number}")

    async def _conclude(self, number: int, sandbox_id: str, gave_up: str | None) -> PullOutcome:
        place = PullPlace(job_id=self.id, sandbox_id=sandbox_id, number=number, gave_up=gave_up)
        return await patiently(self.id, Integrating.conclude_pull, place, LONG, summary=f"conclude #{number}")

    async def _push(self, sandbox_id: str) -> bool:
        ref = SandboxRef(job_id=self.id, sandbox_id=sandbox_id)
        return await patiently(
            self.id, UnifiedPullRequests.push_integration, ref, PATIENT, summary="push the branch",
            cancellation=WHOLE,
        )  # fmt: skip

    async def _close(self, ending: Ending) -> MergeStatus:
        await release_sandbox(self.id)
        status = await instantly(Integrations.close_integration, CloseJob(job_id=self.id, ending=ending))
        show_end(status, ending.message)
        return status
