"""The merge of a run's pull request: as soon as CI lets it through, whatever happens meanwhile."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.merge_jobs import MergeEnd, MergeJobs
    from activities.merge_starting import FIRST_PAUSE, MERGE_WORKFLOW, MergeInput
    from activities.pull_request_merging import MergeAsk, MergeLook, PullRequestMerging
    from kit.shielding import begun
    from kit.temporal import PATIENT
    from models.merge_job import MergeStatus
    from workflows.calls import WHOLE, cause, instantly, patiently
    from workflows.ending import show_end
    from workflows.news import news

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
        ending: MergeEnd | None = self._end("INTERNAL", "The workflow failed of a bug.")
        try:
            ending = await self._work()
        except (FailureError, asyncio.CancelledError) as error:
            ending = self._failed(error)
        finally:
            closing = begun(self._close(ending))
            with suppress(asyncio.CancelledError):  # which comes too late now
                await asyncio.shield(closing)
            status = await closing
        if status is None:
            workflow.continue_as_new(self.told)  # which looks at once, so no word is lost
        return status

    async def _work(self) -> MergeEnd | None:
        """Look until it is merged; None when the history has grown long, to go on in a new one."""
        told = self.told
        told.began = told.began or workflow.now()
        plan = await instantly(MergeJobs.begin_merge, told.job_id)
        if plan is None:
            return self._end()
        while (look := await self._look()).outcome != "merged":
            if workflow.now() - told.began >= LONGEST_WAIT:
                raise ApplicationError(
                    f"Not within {LONGEST_WAIT.days} days. {look.message}", type="TIME_LIMIT"
                )
            workflow.set_current_details(f"Waits to merge {look.head_sha[:12]}. {look.message}")
            await news(lambda: self.changed, told.pause)
            told.pause = min(told.pause * 1.5, LONGEST_PAUSE)
            if workflow.info().is_continue_as_new_suggested():
                return None
        if plan.delete_branch:
            await patiently(
                told.run_id, PullRequestMerging.delete_merged_branch, told.job_id, PATIENT,
                summary="delete the branch",
            )  # fmt: skip
        return self._end()

    async def _look(self) -> MergeLook:
        """Merge it, or learn why not; a new head is a new matter."""
        told, self.changed = self.told, False
        silent = told.head_since is not None and workflow.now() - told.head_since > CI_APPEARS_IN
        ask = MergeAsk(job_id=told.job_id, silent=told.head_sha if silent else None)
        look = await patiently(
            told.job_id, PullRequestMerging.attempt_merge, ask, PATIENT, summary="look, and merge if it may",
            cancellation=WHOLE,
        )  # fmt: skip
        if look.head_sha != told.head_sha:
            told.head_sha, told.head_since, told.pause = look.head_sha, workflow.now(), FIRST_PAUSE
        return look

    def _end(self, code: str | None = None, message: str = "") -> MergeEnd:
        return MergeEnd(job_id=self.told.job_id, run_id=self.told.run_id, code=code, message=message)

    def _failed(self, error: FailureError | asyncio.CancelledError) -> MergeEnd:
        if is_cancelled_exception(error) or not isinstance(error, FailureError):
            return self._end("CANCELLED", "The merge was cancelled.")
        failure = cause(error)
        if failure is None or failure.type is None:
            return self._end("TIMEOUT", "GitHub could not be reached for too long. Ask for the merge again.")
        return self._end(failure.type, failure.message)

    async def _close(self, ending: MergeEnd | None) -> MergeStatus | None:
        if ending is None:
            return None
        status = await instantly(MergeJobs.close_merge, ending)
        show_end(status, ending.message)
        return status

    @workflow.signal
    async def checks_changed(self) -> None:
        """GitHub told of the commit's checks, or of the pull request: look at once."""
        self.changed = True
