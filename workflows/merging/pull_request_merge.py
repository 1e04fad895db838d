"""The merge of a run's pull request: as soon as CI lets it through, whatever happens meanwhile."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.jobs.lifecycle import Ending
    from activities.jobs.merge_launch import FIRST_PAUSE, MergeInput
    from activities.merging.pull_request_merge import MergeAsk, MergeLook, PullRequestMerging
    from activities.merging.pull_request_merge_jobs import MergeEnd, MergeJobs
    from kit.temporal import PATIENT
    from models.jobs.job_registry import MERGE_WORKFLOW
    from models.merging.merge_job import MergeStatus
    from workflows.activity_calls import WHOLE, instantly, patiently
    from workflows.github.polling import news, next_pause
    from workflows.jobs.completion import played, show_end

LONGEST_WAIT = timedelta(days=7)
LONGEST_PAUSE = timedelta(minutes=5)
CI_APPEARS_IN = timedelta(minutes=1)


@workflow.defn(name=MERGE_WORKFLOW)
class PullRequestMergeWorkflow:
    @workflow.init
    def __init__(self, input: MergeInput) -> None:
        self.told = input.model_copy()
        self.changed = False

    @workflow.run
    async def run(self, input: MergeInput) -> MergeStatus:
        return await played(self._work(), self._close)

    async def _work(self) -> Ending:
        """Look until it is merged; in a new workflow when the history has grown long."""
        told = self.told
        told.began = told.began or workflow.now()
        plan = await instantly(MergeJobs.begin_merge, told.job_id)
        if plan is None:
            return Ending(status="completed")
        while (look := await self._look()).outcome != "merged":
            if workflow.now() - told.began >= LONGEST_WAIT:
                raise ApplicationError(
                    f"Not within {LONGEST_WAIT.days} days. {look.message}", type="TIME_LIMIT"
                )
            workflow.set_current_details(f"Waits to merge {look.head_sha[:12]}. {look.message}")
            is_told = (
                told.has_webhooks and look.outcome == "blocked"
            )  # of what moves its base, no webhook tells
            if not await news(lambda: self.changed, told.pause):
                told.pause = next_pause(told.pause, LONGEST_PAUSE, has_webhooks=is_told)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(told)  # which looks at once, so no word is lost
        if plan.delete_branch:
            await patiently(
                told.run_id,
                PullRequestMerging.delete_merged_branch,
                told.job_id,
                PATIENT,
                summary="delete the branch",
            )
        return Ending(status="completed")

    async def _look(self) -> MergeLook:
        """Merge it, or learn why not; a new head is a new matter."""
        told, self.changed = self.told, False
        silent = told.head_since is not None and workflow.now() - told.head_since > CI_APPEARS_IN
        ask = MergeAsk(job_id=told.job_id, silent=told.head_sha if silent else None)
        look = await patiently(
            told.job_id,
            PullRequestMerging.attempt_merge,
            ask,
            PATIENT,
            summary="look, and merge if it may",
            cancellation=WHOLE,
        )
        if look.head_sha != told.head_sha:
            told.head_sha, told.head_since, told.pause = look.head_sha, workflow.now(), FIRST_PAUSE
        return look

    async def _close(self, ending: Ending) -> MergeStatus:
        """The attempt that merged it has written that; anything else is a merge that failed."""
        code, message = ending.code, ending.message or ""
        if ending.status == "cancelled":
            code, message = "CANCELLED", "The merge was cancelled."
        end = MergeEnd(job_id=self.told.job_id, run_id=self.told.run_id, code=code, message=message)
        status = await instantly(MergeJobs.close_merge, end)
        show_end(status, message)
        return status

    @workflow.signal
    async def checks_changed(self) -> None:
        """GitHub told of the commit's checks, or of the pull request: look at once."""
        self.changed = self.told.has_webhooks = True
