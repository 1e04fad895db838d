"""The merge of several pull requests into one: each tried in turn, what breaks the whole left out."""

from functools import partial

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.jobs.launch import JobInput
    from activities.jobs.lifecycle import CloseJob, JobResult
    from activities.merging.combined_merge import (
        CheckedCommit,
        CombinedMergeActivities,
        CombinedMergeJobActivities,
        PullConflict,
        PullMerge,
        PullMergeResult,
    )
    from activities.merging.combined_pull_request import CombinedPullRequestActivities
    from activities.sandboxes.lifecycle import SandboxRef
    from kit.temporal import BRANCH_PUSH, EXTERNAL, LONG_RUNNING
    from models.jobs.job_registry import COMBINED_MERGE_WORKFLOW
    from models.merging.merge_job import MergeStatus
    from workflows.activity_calls import (
        WAIT_FOR_COMPLETION,
        application_error,
        run_local,
        run_with_provider_waits,
    )
    from workflows.agent.child_session import start_session
    from workflows.agent.limits import SessionInput, SessionResult
    from workflows.jobs.completion import publish_result, run_and_close
    from workflows.sandboxes.lifecycle import (
        pause_sandbox,
        provision_sandbox,
        release_sandbox,
        with_sandbox_recovery,
    )
    from workflows.verification.fresh_command import run_fresh_command

CHECK_TIMEOUT_MS = 1_800_000
"""How long the check command may take each time."""
NOTHING_MERGED_MESSAGE = "None of the pull requests could be merged; the job's `conflicts` say why of each."


@workflow.defn(name=COMBINED_MERGE_WORKFLOW)
class CombinedMergeWorkflow:
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        self.id = input.job_id
        self.sandbox_id = ""
        self.time_limit_seconds = 0
        self.active_seconds = 0.0
        """How long merging and agents were at work: what the time limit counts (ADR 28).

        Check commands are no part of it: each has a time-out of its own, as the gate of a run has.
        """

    @workflow.run
    async def run(self, input: JobInput) -> MergeStatus:
        return await run_and_close(self._work(), self._close)

    async def _work(self) -> JobResult:
        plan = await run_local(CombinedMergeJobActivities.begin_combined_merge, self.id)
        if plan is None:
            return JobResult(status="cancelled")
        self.time_limit_seconds = plan.time_limit_seconds
        await run_with_provider_waits(
            self.id,
            CombinedMergeActivities.describe_pulls,
            self.id,
            EXTERNAL,
            summary="read the pull requests",
        )
        self.sandbox_id = await provision_sandbox(self.id)
        for number in plan.numbers:
            workflow.set_current_details(f"Merges #{number}, one of {len(plan.numbers)}.")
            await self._merge(number, plan.check_command)
        pushed, self.sandbox_id = await with_sandbox_recovery(self.id, self.sandbox_id, self._push)
        if not pushed:
            return JobResult(status="failed", code="NOTHING_MERGED", message=NOTHING_MERGED_MESSAGE)
        await run_with_provider_waits(
            self.id,
            CombinedPullRequestActivities.open_combined_pull_request,
            self.id,
            EXTERNAL,
            summary="open the pull request",
            cancellation=WAIT_FOR_COMPLETION,
        )
        await run_with_provider_waits(
            self.id,
            CombinedPullRequestActivities.comment_on_originals,
            self.id,
            EXTERNAL,
            summary="comment the originals",
        )
        return JobResult(status="completed")

    async def _merge(self, number: int, check_command: str | None) -> None:
        """Settle one pull request, with an agent's help where it conflicts.

        What its code does while it is checked cannot change what is merged: that is in a sandbox of its own.
        """
        tried, self.sandbox_id = await with_sandbox_recovery(
            self.id, self.sandbox_id, lambda box: self._settle(number, box)
        )
        self.active_seconds += tried.active_seconds
        if tried.outcome == "conflict":
            gave_up = await self._solve(number, tried.paths)
            tried, self.sandbox_id = await with_sandbox_recovery(
                self.id, self.sandbox_id, lambda box: self._conclude(number, box, gave_up)
            )
            self.active_seconds += tried.active_seconds
        if tried.commit_sha is not None and check_command is not None:
            await self._check(number, tried.commit_sha, check_command)

    async def _check(self, number: int, sha: str, command: str) -> None:
        result = await run_fresh_command(self.id, sha, command, CHECK_TIMEOUT_MS)
        checked = CheckedCommit(job_id=self.id, number=number, commit_sha=sha, command=command, result=result)
        await run_local(CombinedMergeJobActivities.settle_checked_commit, checked)

    async def _solve(self, number: int, paths: list[str]) -> str | None:
        """Let an agent solve the conflicts; why it could not, where it could not."""
        where = PullConflict(job_id=self.id, sandbox_id=self.sandbox_id, number=number, paths=paths)
        opened = await run_local(CombinedMergeJobActivities.open_solver, where)
        told = SessionInput(
            session_id=opened.session_id,
            job_id=self.id,
            sandbox_id=self.sandbox_id,
            label=opened.label,
            max_turns=opened.max_turns,
            time_limit_seconds=self.time_limit_seconds,
            active_seconds=self.active_seconds,
        )
        try:
            outcome = await (await start_session(told))
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            failure = application_error(error)
            if reached := SessionResult.from_failure(error):
                self._apply_result(reached)
            return failure.message if failure else "The agent took too long."
        self._apply_result(outcome)
        return None

    def _apply_result(self, reached: SessionResult) -> None:
        self.sandbox_id = reached.sandbox_id or self.sandbox_id
        self.active_seconds = reached.active_seconds

    async def _settle(self, number: int, sandbox_id: str) -> PullMergeResult:
        place = PullMerge(job_id=self.id, sandbox_id=sandbox_id, number=number)
        return await run_with_provider_waits(
            self.id, CombinedMergeActivities.merge_pull, place, LONG_RUNNING, summary=f"merge #{number}"
        )

    async def _conclude(self, number: int, sandbox_id: str, gave_up: str | None) -> PullMergeResult:
        place = PullMerge(job_id=self.id, sandbox_id=sandbox_id, number=number, gave_up=gave_up)
        return await run_with_provider_waits(
            self.id, CombinedMergeActivities.conclude_pull, place, LONG_RUNNING, summary=f"conclude #{number}"
        )

    async def _push(self, sandbox_id: str) -> bool:
        ref = SandboxRef(job_id=self.id, sandbox_id=sandbox_id)
        return await run_with_provider_waits(
            self.id,
            CombinedPullRequestActivities.push_combined_branch,
            ref,
            BRANCH_PUSH,
            summary="push the branch",
            cancellation=WAIT_FOR_COMPLETION,
            rest=partial(pause_sandbox, self.id, sandbox_id),
        )

    async def _close(self, ending: JobResult) -> MergeStatus:
        await release_sandbox(self.id)
        status = await run_local(
            CombinedMergeJobActivities.close_combined_merge, CloseJob(job_id=self.id, ending=ending)
        )
        publish_result(status, ending.message)
        return status
