"""The merge of a run's pull request: looked at, and merged if its checks let it through, in one go.

What the workflow writes about itself are short transactions, as local activities.  Each is safe to repeat: a
job that was started stays so, and an ending that is there stays.
"""

from typing import Literal

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.gateway_factory import GatewayFactory, external_call
from activities.jobs.snapshots import load_snapshot
from activities.runs.ci_checks import record_checks
from gateways.errors import CredentialMissing, CredentialRefused, UpstreamRefused
from gateways.github.checks import CommitChecks
from gateways.github.client import GitHub
from gateways.github.pull_requests import PullRequests, PullRequestState
from kit.cancellation import run_to_completion
from kit.database import Database
from kit.errors import RepositoryNotAllowed
from models import MergeJob, Run
from models.base import JsonObject
from models.event import EventType, append_event, has_event
from models.merging.merge_job import MergeStatus, complete_merge, fail_merge
from models.runs.run import PrStatus

PULL_REQUEST_CLOSED = "PULL_REQUEST_CLOSED"
MERGE_CONFLICT = "MERGE_CONFLICT"
"""What `gateways.github.pull_requests.MergeConflict` is called in the engine."""


class MergePlan(BaseModel):
    delete_branch: bool


class CloseMerge(BaseModel):
    job_id: str
    run_id: str
    code: str | None = None
    """Of what it failed; None when the attempt itself has written that it is merged."""
    message: str = ""


class PullRequestMergeJobActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_merge(self, job_id: str) -> MergePlan | None:
        """Take the job, unless the API already did; None when it has ended."""
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            if job.status.is_final:
                return None
            if job.mark_started():
                append_event(session, job, EventType.merge_started)
        snapshot = await load_snapshot(self.database, str(job.run_id))
        return MergePlan(delete_branch=snapshot.config.delete_branch_on_merge)

    @activity.defn
    async def close_merge(self, end: CloseMerge) -> MergeStatus:
        """The last word of a merge that failed; the first ending stays."""
        async with self.database.transaction() as session:
            run = await session.get_one(Run, end.run_id, with_for_update=True)
            job = await session.get_one(MergeJob, end.job_id, with_for_update=True)
            if end.code is None or job.status.is_final:
                return job.status
            if end.code == MERGE_CONFLICT:
                job.conflicts = [{**job.pull_requests[0], "message": end.message}]
            await fail_merge(session, run, job, end.code, end.message, closed=end.code == PULL_REQUEST_CLOSED)
            return job.status


BLOCKED_ON_CI = "BLOCKED_ON_CI"


class MergeAttemptInput(BaseModel):
    job_id: str
    silent: str | None
    """The commit that has been the head for so long that a check which has not appeared will not."""


class MergeAttemptResult(BaseModel):
    outcome: Literal["merged", "moved", "blocked"]
    head_sha: str
    message: str = ""


class PullRequestMergeActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def attempt_merge(self, ask: MergeAttemptInput) -> MergeAttemptResult:
        """Merge the pull request unless CI blocks it; a cancel comes before or after it.

        Killed before the merge, it looks again; killed after it, it finds the pull request merged and writes
        that.  GitHub is told the commit whose checks were read, and refuses if the head is another by then.
        """
        return await run_to_completion(self._attempt(ask))

    async def _attempt(self, ask: MergeAttemptInput) -> MergeAttemptResult:
        async with self.database.read_only() as session:
            job = await session.get_one(MergeJob, ask.job_id)
            run = await session.get_one(Run, str(job.run_id))
        credentials = await self.outside.credentials(job.project_id)
        if run.deleted_at:
            raise _final_error("RUN_DELETED", "The run of this pull request was deleted.")
        assert run.pr_number, "a merge is of a pull request"
        with external_call():
            github = await self.outside.github(credentials, job.repository_slug)
            pulls = PullRequests(github, job.repository_slug)
            pull = await pulls.get(run.pr_number)
            if pull.state == "merged":
                return await self._record_merged(job, pull, pull.merge_sha)
            if pull.state == "closed":
                raise _final_error(PULL_REQUEST_CLOSED, "The pull request was closed without being merged.")
            if not job.skip_ci_check:
                facts = await github.checks(job.repository_slug, pull.head_sha)
                if message := await self._blocking_reason(github, job, pull, facts, ask):
                    return await self._record_blocked(job, pull, message, facts)
            tried = await pulls.merge(
                run.pr_number, sha=pull.head_sha, strategy=job.merge_strategy, gated=not job.skip_ci_check
            )
        if tried.outcome == "merged":
            return await self._record_merged(job, pull, tried.merge_sha)
        if tried.outcome == "blocked":
            return await self._record_blocked(job, pull, tried.message or "A check of it has begun anew.")
        return MergeAttemptResult(outcome="moved", head_sha=pull.head_sha, message=tried.message)

    @activity.defn
    async def delete_merged_branch(self, job_id: str) -> None:
        """Delete the head branch if it still ends in what was merged.

        Again, it finds the branch gone, which is what was wanted, and its event written.
        """
        async with self.database.read_only() as session:
            job = await session.get_one(MergeJob, job_id)
            run = await session.get_one(Run, str(job.run_id))
        credentials = await self.outside.credentials(job.project_id)
        branch, reason = str(run.branch_name), "Commits were added to it."
        try:
            with external_call():
                github = await self.outside.github(credentials, job.repository_slug)
                pulls = PullRequests(github, job.repository_slug)
                gone = await pulls.delete_branch(branch, str(job.head_sha))
        except (UpstreamRefused, CredentialMissing, CredentialRefused, RepositoryNotAllowed) as refused:
            gone, reason = False, refused.message
        data: JsonObject = {"mergeJobId": job.id, "branch": branch}
        event, data = (
            (EventType.branch_deleted, data) if gone else (EventType.branch_kept, {**data, "reason": reason})
        )
        async with self.database.transaction() as session:
            run, job = await _lock_rows(session, job)
            if not await has_event(session, run.id, event, {"mergeJobId": job.id}):
                append_event(session, run, event, data)

    async def _blocking_reason(
        self,
        github: GitHub,
        job: MergeJob,
        pull: PullRequestState,
        facts: CommitChecks,
        ask: MergeAttemptInput,
    ) -> str | None:
        """Why its checks do not let it through; None when they do."""
        if facts.status == "passed":
            return None
        if facts.status == "none":
            if ask.silent == pull.head_sha or not await github.has_ci(job.repository_slug, pull.head_sha):
                return None
            return "No check of it has appeared yet."
        names = ", ".join(check.name for check in facts.checks if check.verdict == facts.status)
        return f"CI has failed: {names}." if facts.status == "failed" else f"CI is at work: {names}."

    async def _record_blocked(
        self, job: MergeJob, pull: PullRequestState, message: str, facts: CommitChecks | None = None
    ) -> MergeAttemptResult:
        if facts:
            await record_checks(self.database, str(job.run_id), facts, ended=True)
        async with self.database.transaction() as session:
            run, job = await _lock_rows(session, job)
            if run.pr_status is not PrStatus.merged and job.mark_blocked(
                pull.head_sha, BLOCKED_ON_CI, message
            ):
                run.mark_pr_blocked()
                data: JsonObject = {"mergeJobId": job.id, "sha": pull.head_sha, "message": message}
                append_event(session, run, EventType.pr_blocked_on_ci, data)
        return MergeAttemptResult(outcome="blocked", head_sha=pull.head_sha, message=message)

    async def _record_merged(
        self, job: MergeJob, pull: PullRequestState, merge_sha: str | None
    ) -> MergeAttemptResult:
        async with self.database.transaction() as session:
            run, job = await _lock_rows(session, job)
            job.set_merged_head(pull.head_sha)
            await complete_merge(session, run, job, merge_sha)
        return MergeAttemptResult(outcome="merged", head_sha=pull.head_sha)


async def _lock_rows(session: AsyncSession, job: MergeJob) -> tuple[Run, MergeJob]:
    run = await session.get_one(Run, str(job.run_id), with_for_update=True)
    return run, await session.get_one(MergeJob, job.id, with_for_update=True)


def _final_error(code: str, message: str) -> ApplicationError:
    return ApplicationError(message, type=code, non_retryable=True)
