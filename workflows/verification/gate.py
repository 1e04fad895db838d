"""The gate of a run: the blueprint's command on the very commit that is pushed, run by the platform."""

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.runs.lifecycle import GatePlan
from activities.verification.verifications import BeginVerification, EndVerification, Verifications
from models.verification.verification import CommandResult, VerificationStatus
from workflows.activity_calls import run_local
from workflows.jobs.completion import to_job_result
from workflows.verification.fresh_command import run_fresh_command


class Gate:
    """One run's verifications, and how often its agent may still fix what fails them."""

    def __init__(self, run_id: str, plan: GatePlan) -> None:
        self.run_id, self.plan = run_id, plan
        self.number = 0
        """Of the verification that began last."""
        self.repairs = 0
        """How often the agent was told of a failure."""

    @property
    def may_repair(self) -> bool:
        return self.repairs < self.plan.max_attempts

    async def verify(self, commit_sha: str) -> VerificationStatus:
        """Run the command and write down what came of it; the agent is told of a failure, if it may try."""
        self.number += 1
        workflow.set_current_details(f"The branch is pushed; verifying {commit_sha[:12]}.")
        begin = BeginVerification(run_id=self.run_id, number=self.number, commit_sha=commit_sha)
        await run_local(Verifications.begin_verification, begin)
        result = await self._run(commit_sha)
        end = EndVerification(
            run_id=self.run_id, number=self.number, result=result, may_repair=self.may_repair
        )
        await run_local(Verifications.end_verification, end)
        return result.status

    async def _run(self, commit_sha: str) -> CommandResult:
        """A sandbox that cannot be had is no failure of the change, and does not end the run."""
        try:
            return await run_fresh_command(
                self.run_id, commit_sha, self.plan.command, self.plan.timeout_ms, reads_tests=True
            )
        except FailureError as error:
            ending = to_job_result(error)
            if ending.status == "cancelled":
                raise
            reason = ending.message or "It could not be run."
            return CommandResult(exit_code=None, duration_ms=0, output="", reason=reason)
