"""The merge of a run's pull request: as soon as CI lets it through, whatever happens meanwhile."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.jobs.launch import FIRST_POLL_INTERVAL, MergeInput
    from activities.jobs.lifecycle import JobResult
    from activities.merging.pull_request_merge import (
        CloseMerge,
        MergeAttemptInput,
        MergeAttemptResult,
        PullRequestMergeActivities,
        PullRequestMergeJobActivities,
    )
    from kit.temporal import EXTERNAL
    from models.jobs.job_registry import PULL_REQUEST_MERGE_WORKFLOW
    from models.merging.merge_job import MergeStatus
    from workflows.activity_calls import WAIT_FOR_COMPLETION, run_local, run_with_provider_waits
    from workflows.github.polling import next_pause, wait_for_signal
    from workflows.jobs.completion import publish_result, run_and_close

MAX_WAIT = timedelta(days=7)
MAX_POLL_INTERVAL = timedelta(minutes=5)
CI_APPEARANCE_TIMEOUT = timedelta(minutes=1)


@workflow.defn(name=PULL_REQUEST_MERGE_WORKFLOW)
class PullRequestMergeWorkflow:
    @workflow.init
    def __init__(self, input: MergeInput) -> None:
        self.state = input.model_copy()
        self.has_signal = False

    @workflow.run
    async def run(self, input: MergeInput) -> MergeStatus:
        return await run_and_close(self._work(), self._close)

    async def _work(self) -> JobResult:
        """Look until it is merged; in a new workflow when the history has grown long."""
        told = self.state
        told.began = told.began or workflow.now()
        plan = await run_local(PullRequestMergeJobActivities.begin_merge, told.job_id)
        if plan is None:
            return JobResult(status="completed")
        while (look := await self._attempt()).outcome != "merged":
            if workflow.now() - told.began >= MAX_WAIT:
                raise ApplicationError(f"Not within {MAX_WAIT.days} days. {look.message}", type="TIME_LIMIT")
            workflow.set_current_details(f"Waits to merge {look.head_sha[:12]}. {look.message}")
            is_told = (
                told.has_webhooks and look.outcome == "blocked"
            )  # of what moves its base, no webhook tells
            if not await wait_for_signal(lambda: self.has_signal, told.pause):
                told.pause = next_pause(told.pause, MAX_POLL_INTERVAL, has_webhooks=is_told)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(told)  # which looks at once, so no word is lost
        if plan.delete_branch:
            await run_with_provider_waits(
                told.run_id,
                PullRequestMergeActivities.delete_merged_branch,
                told.job_id,
                EXTERNAL,
                summary="delete the branch",
            )
        return JobResult(status="completed")

    async def _attempt(self) -> MergeAttemptResult:
        """Merge it, or learn why not; a new head is a new matter."""
        told, self.has_signal = self.state, False
        silent = told.head_since is not None and workflow.now() - told.head_since > CI_APPEARANCE_TIMEOUT
        ask = MergeAttemptInput(job_id=told.job_id, silent=told.head_sha if silent else None)
        look = await run_with_provider_waits(
            told.job_id,
            PullRequestMergeActivities.attempt_merge,
            ask,
            EXTERNAL,
            summary="look, and merge if it may",
            cancellation=WAIT_FOR_COMPLETION,
        )
        if look.head_sha != told.head_sha:
            told.head_sha, told.head_since, told.pause = look.head_sha, workflow.now(), FIRST_POLL_INTERVAL
        return look

    async def _close(self, ending: JobResult) -> MergeStatus:
        """The attempt that merged it has written that; anything else is a merge that failed."""
        code, message = ending.code, ending.message or ""
        if ending.status == "cancelled":
            code, message = "CANCELLED", "The merge was cancelled."
        end = CloseMerge(job_id=self.state.job_id, run_id=self.state.run_id, code=code, message=message)
        status = await run_local(PullRequestMergeJobActivities.close_merge, end)
        publish_result(status, message)
        return status

    @workflow.signal
    async def checks_changed(self) -> None:
        """GitHub told of the commit's checks, or of the pull request: look at once."""
        self.has_signal = self.state.has_webhooks = True
