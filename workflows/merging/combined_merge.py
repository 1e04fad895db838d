"""The merge of several pull requests into one: each tried in turn, what breaks the whole left out."""

from functools import partial

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.jobs.job_launch import JobInput
    from activities.jobs.lifecycle import CloseJob, Ending
    from activities.merging.combined_merge import Integrating, PullOutcome, PullPlace
    from activities.merging.combined_merge_jobs import Checked, Conflict, Integrations
    from activities.merging.combined_pull_request import UnifiedPullRequests
    from activities.sandboxes.lifecycle import SandboxRef
    from kit.temporal import DELIVERY, LONG, PATIENT
    from models.jobs.job_registry import INTEGRATION_WORKFLOW
    from models.merging.merge_job import MergeStatus
    from workflows.activity_calls import WHOLE, cause, instantly, patiently
    from workflows.agent.child_session import begin_session
    from workflows.agent.limits import SessionInput, SessionOutcome
    from workflows.jobs.completion import played, show_end
    from workflows.sandboxes.lifecycle import ready_sandbox, release_sandbox, rest_sandbox, surviving
    from workflows.verification.fresh_command import run_afresh

CHECK_MS = 1_800_000
"""How long the check command may take each time."""
NOTHING = "None of the pull requests could be merged; the job's `conflicts` say why of each."


@workflow.defn(name=INTEGRATION_WORKFLOW)
class MergeWorkflow:
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
        return await played(self._work(), self._close)

    async def _work(self) -> Ending:
        plan = await instantly(Integrations.begin_integration, self.id)
        if plan is None:
            return Ending(status="cancelled")
        self.time_limit_seconds = plan.time_limit_seconds
        await patiently(
            self.id, Integrating.describe_pulls, self.id, PATIENT, summary="read the pull requests"
        )
        self.sandbox_id = await ready_sandbox(self.id)
        for number in plan.numbers:
            workflow.set_current_details(f"Merges #{number}, one of {len(plan.numbers)}.")
            await self._merge(number, plan.check_command)
        pushed, self.sandbox_id = await surviving(self.id, self.sandbox_id, self._push)
        if not pushed:
            return Ending(status="failed", code="NOTHING_MERGED", message=NOTHING)
        await patiently(
            self.id,
            UnifiedPullRequests.open_unified,
            self.id,
            PATIENT,
            summary="open the pull request",
            cancellation=WHOLE,
        )
        await patiently(
            self.id, UnifiedPullRequests.tell_originals, self.id, PATIENT, summary="comment the originals"
        )
        return Ending(status="completed")

    async def _merge(self, number: int, check_command: str | None) -> None:
        """Settle one pull request, with an agent's help where it conflicts.

        What its code does while it is checked cannot change what is merged: that is in a sandbox of its own.
        """
        tried, self.sandbox_id = await surviving(
            self.id, self.sandbox_id, lambda box: self._settle(number, box)
        )
        self.active_seconds += tried.active_seconds
        if tried.outcome == "conflict":
            gave_up = await self._solve(number, tried.paths)
            tried, self.sandbox_id = await surviving(
                self.id, self.sandbox_id, lambda box: self._conclude(number, box, gave_up)
            )
            self.active_seconds += tried.active_seconds
        if tried.commit_sha is not None and check_command is not None:
            await self._check(number, tried.commit_sha, check_command)

    async def _check(self, number: int, sha: str, command: str) -> None:
        result = await run_afresh(self.id, sha, command, CHECK_MS)
        checked = Checked(job_id=self.id, number=number, commit_sha=sha, command=command, result=result)
        await instantly(Integrations.settle_checked, checked)

    async def _solve(self, number: int, paths: list[str]) -> str | None:
        """Let an agent solve the conflicts; why it could not, where it could not."""
        where = Conflict(job_id=self.id, sandbox_id=self.sandbox_id, number=number, paths=paths)
        opened = await instantly(Integrations.open_solver, where)
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
            outcome = await (await begin_session(told))
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            failure = cause(error)
            if reached := SessionOutcome.within(error):
                self._go_on_from(reached)
            return failure.message if failure else "The agent took too long."
        self._go_on_from(outcome)
        return None

    def _go_on_from(self, reached: SessionOutcome) -> None:
        self.sandbox_id = reached.sandbox_id or self.sandbox_id
        self.active_seconds = reached.active_seconds

    async def _settle(self, number: int, sandbox_id: str) -> PullOutcome:
        place = PullPlace(job_id=self.id, sandbox_id=sandbox_id, number=number)
        return await patiently(self.id, Integrating.merge_pull, place, LONG, summary=f"merge #{number}")

    async def _conclude(self, number: int, sandbox_id: str, gave_up: str | None) -> PullOutcome:
        place = PullPlace(job_id=self.id, sandbox_id=sandbox_id, number=number, gave_up=gave_up)
        return await patiently(self.id, Integrating.conclude_pull, place, LONG, summary=f"conclude #{number}")

    async def _push(self, sandbox_id: str) -> bool:
        ref = SandboxRef(job_id=self.id, sandbox_id=sandbox_id)
        return await patiently(
            self.id,
            UnifiedPullRequests.push_integration,
            ref,
            DELIVERY,
            summary="push the branch",
            cancellation=WHOLE,
            rest=partial(rest_sandbox, self.id, sandbox_id),
        )

    async def _close(self, ending: Ending) -> MergeStatus:
        await release_sandbox(self.id)
        status = await instantly(Integrations.close_integration, CloseJob(job_id=self.id, ending=ending))
        show_end(status, ending.message)
        return status
