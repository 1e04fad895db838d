"""What comes after the steps: push, gate, pull request, CI followed until it has spoken, and its fixes."""

from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.jobs.lifecycle import JobResult
from activities.runs.ci_checks import CiActivities, CiReport
from activities.runs.ci_fixes import CiFixEnd, CiFixes, CiFixInput
from activities.runs.delivery import (
    WORK_LOST_MESSAGE,
    OpenPullRequest,
    PushRequest,
    PushResult,
    RunDeliveryActivities,
)
from activities.verification.verifications import EndRepair, Verifications
from kit.temporal import BRANCH_PUSH, EXTERNAL
from models.verification.verification import VerificationStatus
from workflows.activity_calls import WAIT_FOR_COMPLETION, run_all, run_local, run_with_provider_waits
from workflows.agent.limits import non_retryable_error
from workflows.github.polling import next_pause, wait_for_signal
from workflows.jobs.completion import to_job_result
from workflows.runs.pipeline import Pipeline, StepSandbox
from workflows.sandboxes.lifecycle import pause_sandbox, release_sandbox
from workflows.verification.gate import Gate

CI_APPEARANCE_TIMEOUT = timedelta(minutes=1)
CI_TIMEOUT = timedelta(hours=2)
FIRST_POLL_INTERVAL, MAX_POLL_INTERVAL = timedelta(seconds=2), timedelta(minutes=1)
RERUN_APPEARANCE_DELAY = timedelta(seconds=20)
"""Until then GitHub may still show how a check that runs again ended the last time."""
MAX_RECHECKS = 5
"""How often CI that failed is looked at again without a fix: it runs again, or passes by itself."""


async def deliver(pipeline: Pipeline) -> None:
    """A run that changed nothing opens no pull request; a stopped one only pushes what it has.

    Once what is pushed is verified, nothing needs the sandbox any more: it goes and CI is looked at while the
    pull request is opened.
    """
    branch = _BranchDelivery(pipeline)
    pushed = await branch.push()
    if pushed.sha is None or pipeline.control.stopping:
        return
    await branch.verify(pushed.sha)
    if not pipeline.plan.create_pr or pipeline.control.stopping:
        return
    await run_all(branch.open(), release_sandbox(pipeline.run_id), branch.follow_ci())
    if pipeline.plan.auto_fix_attempts:
        await branch.fix_ci()


async def push_unfinished_work(pipeline: Pipeline, ending: JobResult) -> JobResult:
    """Push what there is of a run that cannot go on; its ending, which says where its work is (ADR 28).

    What the push fails of does not hide what the run failed of.
    """
    if ending.status == "cancelled":
        return ending
    pipeline.control.close_steps()
    try:
        pushed = await _BranchDelivery(pipeline).push()
    except FailureError as error:
        second = to_job_result(error)
        if second.status == "cancelled":
            return second
        where = f"What it did could not be pushed: {second.message}"
    else:
        if pushed.branch is None:
            return ending
        where = f"What it did is on the branch {pushed.branch}; a restart goes on from there."
    return ending.model_copy(update={"message": f"{ending.message} {where}"})


class _BranchDelivery:
    """The run's branch on its way: pushed, proposed, checked by CI."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.run_id, self.control = pipeline, pipeline.run_id, pipeline.control
        self.report = CiReport(status="none", expected=False)
        """What CI said when it had last spoken."""
        gate = pipeline.plan.gate
        self.gate = Gate(self.run_id, gate) if gate else None
        self.is_verified = gate is None
        """Whether the gate passed on what is pushed, or there is none."""

    async def push(self) -> PushResult:
        """A run in which no step worked has nothing to push.

        Raises when work was lost and nothing is left of it to push.
        """
        place = self.pipeline.step_sandbox
        if place is None:
            return await run_local(RunDeliveryActivities.skip_push, self.run_id)
        pushed = await self.pipeline.run_with_recovery(place, partial(self._push_from, place), is_timed=False)
        if pushed.sha is None and place.work_lost and not self.control.stopping:
            raise non_retryable_error("WORK_LOST", WORK_LOST_MESSAGE)
        return pushed

    async def _push_from(self, place: StepSandbox, sandbox_id: str) -> PushResult:
        push = PushRequest(job_id=self.run_id, sandbox_id=sandbox_id, work_lost=place.work_lost)
        return await run_with_provider_waits(
            self.run_id,
            RunDeliveryActivities.push_branch,
            push,
            BRANCH_PUSH,
            summary="commit and push",
            cancellation=WAIT_FOR_COMPLETION,
            rest=partial(pause_sandbox, self.run_id, sandbox_id),
        )

    async def verify(self, sha: str) -> None:
        """Run the gate on what is pushed; what fails it goes back to the agent, as often as it may try."""
        if self.gate is None:
            return
        while True:
            status = await self.gate.verify(sha)
            self.is_verified = status is VerificationStatus.passed
            if status is not VerificationStatus.failed or not self.gate.may_repair:
                return
            fixed = await self._repair(self.gate)
            if fixed in (None, sha) or self.control.stopping:
                return
            sha = str(fixed)

    async def _repair(self, gate: Gate) -> str | None:
        """The commit with which the agent fixes what the gate found; None when it cannot.

        What is pushed already is delivered whatever becomes of the fix.
        """
        gate.repairs += 1
        try:
            await self.pipeline.repair()
            return (await self.push()).sha
        except FailureError as error:
            ending = to_job_result(error)
            if ending.status == "cancelled":
                raise
            self.control.close_steps()
            end = EndRepair(run_id=self.run_id, number=gate.number, message=ending.message or "")
            await run_local(Verifications.end_repair, end)
            return None

    async def open(self) -> None:
        """A change that was not passed by its checker or its gate is opened as a draft."""
        is_draft = self.pipeline.unpassed or not self.is_verified
        ask = OpenPullRequest(run_id=self.run_id, draft=is_draft)
        workflow.set_current_details("The branch is pushed; opening the pull request and looking at CI.")
        await run_with_provider_waits(
            self.run_id,
            RunDeliveryActivities.open_pull_request,
            ask,
            EXTERNAL,
            summary="open the pull request",
            cancellation=WAIT_FOR_COMPLETION,
        )
        workflow.set_current_details("The pull request is open; waiting for CI.")

    async def verify_again(self, sha: str) -> None:
        """Verify what was pushed to an open pull request, which then says so."""
        if self.gate is None:
            return
        await self.verify(sha)
        await run_with_provider_waits(
            self.run_id,
            RunDeliveryActivities.describe_verification,
            self.run_id,
            EXTERNAL,
            summary="say what was verified",
        )

    async def follow_ci(self) -> None:
        """Look at CI until it has spoken, or there is none: when told of it, else less and less often."""
        started, pause = workflow.now(), FIRST_POLL_INTERVAL
        while workflow.now() - started < CI_TIMEOUT:
            self.control.checks_changed = False
            self.report = await run_with_provider_waits(
                self.run_id, CiActivities.read_checks, self.run_id, EXTERNAL, summary="read CI's checks"
            )
            if self._is_ci_decided(workflow.now() - started):
                break
            if not await wait_for_signal(lambda: self.control.checks_changed, pause):
                pause = next_pause(pause, MAX_POLL_INTERVAL, has_webhooks=self.control.has_webhooks)

    async def fix_ci(self) -> None:
        """Let the agent fix what CI found; a fix that fails is given up, as the work is delivered already."""
        try:
            await self._fix_ci()
        except FailureError as error:
            ending = to_job_result(error)
            if ending.status == "cancelled":
                raise
            self.control.close_steps()
            end = CiFixEnd(run_id=self.run_id, code=ending.code or "", message=ending.message or "")
            await run_local(CiFixes.end_ci_fix, end)

    async def _fix_ci(self) -> None:
        """Until it passes, attempts are used up or a failure comes back."""
        ask = CiFixInput(run_id=self.run_id, max_attempts=self.pipeline.plan.auto_fix_attempts)
        for _ in range(ask.max_attempts + MAX_RECHECKS):
            if self.report.status != "failed":
                return
            plan = await run_with_provider_waits(
                self.run_id, CiFixes.plan_ci_fix, ask, EXTERNAL, summary="read why CI failed"
            )
            if plan.action == "stop":
                return
            if plan.action == "fix":
                ask.attempts += 1
                ask.fingerprints.append(plan.fingerprint)
                workflow.set_current_details(f"CI failed; attempt {ask.attempts} to fix it.")
                await self.pipeline.repair()
                pushed = await self.push()
                if pushed.sha is not None and not self.control.stopping:
                    await self.verify_again(pushed.sha)
                await release_sandbox(self.run_id)
                if self.control.stopping:
                    return
            else:
                ask.reruns += plan.action == "rerun"
                await wait_for_signal(lambda: self.control.checks_changed, RERUN_APPEARANCE_DELAY)
            await self.follow_ci()

    def _is_ci_decided(self, waited: timedelta) -> bool:
        """Whether CI said all that is wanted: a fix needs to know of everything that fails."""
        report = self.report
        if report.status == "none":
            return not report.expected or waited > CI_APPEARANCE_TIMEOUT
        if self.pipeline.plan.auto_fix_attempts and not report.is_settled:
            return False
        return report.status != "pending"
