"""Combined merges: pull requests merged one by one in a sandbox, each settled once, on the last good commit.

What the workflow writes about itself are short transactions, as local activities.  Each is safe to repeat: a
job that was started stays so, a solver is found again, and the first ending stays.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity

from activities.agent.sessions import OpenedSession, open_session
from activities.gateway_factory import GatewayFactory, external_call
from activities.jobs.lifecycle import CloseJob, TimedResult
from activities.jobs.snapshots import load_snapshot
from activities.projects.credentials import Credentials
from activities.sandboxes.checkpoints import save_checkpoint
from activities.sandboxes.lifecycle import SandboxRef
from gateways.anthropic.conversation import truncate
from gateways.git.combined_merge import CombinedMergeClone, MergeResult
from gateways.git.repository import (
    ChangeMalformed,
    ChangeTooLarge,
    CloneBase,
    ExpectedMerge,
    ProtectedPath,
    SecretInChange,
    WorkTreeDamaged,
)
from gateways.github.pull_requests import PullRequests
from gateways.sandboxes.sandbox import SandboxHandle
from kit.database import Database
from models import AgentSession, MergeJob, Sandbox
from models.agent.sections import trusted_section, untrusted_section
from models.agent.session_kind import SessionKind
from models.base import JsonObject
from models.event import EventType, append_event
from models.jobs.snapshot import Snapshot
from models.merging.combined_merge_start import MergeConfig
from models.merging.merge_job import MergeStatus, record_pull_request_merged, record_pull_request_outcome
from models.notifications.notification import NotificationType, notify_members
from models.verification.verification import CommandResult


@dataclass(frozen=True)
class MergeContext:
    job: MergeJob
    snapshot: Snapshot
    credentials: Credentials
    handle: SandboxHandle
    clone: CombinedMergeClone

    @property
    def last_good_sha(self) -> str:
        """The last commit that holds."""
        return str(self.job.integrated_sha or self.job.base_sha)

    @property
    def author(self) -> tuple[str, str]:
        return self.snapshot.git_name, self.snapshot.git_email

    @property
    def base(self) -> CloneBase:
        """What the sandbox's clone was made from."""
        return CloneBase(str(self.job.base_branch), str(self.job.base_sha))


async def load_merge_context(database: Database, outside: GatewayFactory, ref: SandboxRef) -> MergeContext:
    async with database.read_only() as session:
        job = await session.get_one(MergeJob, ref.job_id)
        sandbox = await session.get_one(Sandbox, ref.sandbox_id)
    snapshot = await load_snapshot(database, job.id)
    credentials = await outside.credentials(job.project_id)
    handle = await outside.attach(credentials, sandbox)
    url, token = await outside.remote(credentials, job.repository_slug)
    integration = CombinedMergeClone(handle, url, token, outside.git, credentials.push_policy)
    return MergeContext(job, snapshot, credentials, handle, integration)


MAX_DESCRIPTION_CHARS = 10_000
"""Characters of a pull request's description that agents are told."""


class PullMerge(SandboxRef):
    number: int
    gave_up: str | None = None
    """Why its conflicts were not solved; None when they were, or there were none."""


_LEFT_OUT_REASONS = {
    "unrelated": "Git cannot merge it: it shares no history with the base branch.",
    "markers": "Markers of its conflicts were left in {paths}.",
    "lost": "The sandbox was lost while its conflicts were solved: start the merge again.",
    "conflict": "It conflicts in {paths}.",
}


class PullMergeResult(TimedResult):
    outcome: Literal["merged", "left_out", "conflict", "unchecked"]
    """`unchecked`: merged and saved, but it counts only once the check command has passed on it."""
    paths: list[str] = Field(default_factory=list)
    """Those that conflict."""
    commit_sha: str | None = None
    """Of the merge that is to be checked."""


class CombinedMergeActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database, self.outside = database, outside

    @activity.defn
    async def describe_pulls(self, job_id: str) -> None:
        """What the pull requests say of themselves, and their common base; read again, it is the same row.

        What is not open any more, or never was there, is left out at once.
        """
        async with self.database.read_only() as session:
            job = await session.get_one(MergeJob, job_id)
        credentials = await self.outside.credentials(job.project_id)
        with external_call():
            github = await self.outside.github(credentials, job.repository_slug)
            pulls = PullRequests(github, job.repository_slug)
            described = {number: await pulls.describe(number) for number in job.pull_request_numbers}
        told = {number: each for number, each in described.items() if each is not None}
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            job.base_branch = job.base_branch or next((each.base for each in told.values()), None)
            job.descriptions = {
                str(n): truncate(f"{each.title}\n\n{each.body}", MAX_DESCRIPTION_CHARS)
                for n, each in told.items()
            }
            for number in job.pull_request_numbers:
                if number not in told:
                    record_pull_request_outcome(
                        session, job, number, "left_out", "There is no such pull request."
                    )
                elif told[number].state != "open":
                    record_pull_request_outcome(
                        session, job, number, "left_out", f"It is {told[number].state} already."
                    )

    @activity.defn
    async def merge_pull(self, ask: PullMerge) -> PullMergeResult:
        """Merge one; where there is a check command, that comes next.

        Killed anywhere, it begins again at the last commit that holds; once settled, it stays so.
        """
        place = await load_merge_context(self.database, self.outside, ask)
        if settled := place.job.outcome_of(ask.number):
            return PullMergeResult.model_validate({"outcome": settled})
        with external_call():
            head = await place.clone.fetch_pull(ask.number, place.base)
            merged = await place.clone.merge(
                place.last_good_sha, head, place.job.subject(ask.number), place.author
            )
            if merged.outcome == "conflict":
                return PullMergeResult(outcome="conflict", paths=merged.paths)
            return await self._finish_pull(ask, place, head, merged)

    @activity.defn
    async def conclude_pull(self, ask: PullMerge) -> PullMergeResult:
        """Take what the agent made of the conflicts, if no marker is left; the check command comes next.

        Killed after the commit, it finds it; once settled, it stays so.
        """
        place = await load_merge_context(self.database, self.outside, ask)
        if settled := place.job.outcome_of(ask.number):
            return PullMergeResult.model_validate({"outcome": settled})
        with external_call():
            head = await place.clone.fetch_pull(ask.number, place.base)
            if ask.gave_up is not None:
                return await self._leave_out(ask, place, f"Its conflicts were not solved: {ask.gave_up}")
            subject = place.job.subject(ask.number)
            merged = await place.clone.conclude(place.last_good_sha, head, subject, place.author)
            return await self._finish_pull(ask, place, head, merged)

    async def _finish_pull(
        self, ask: PullMerge, place: MergeContext, head: str, merged: MergeResult
    ) -> PullMergeResult:
        """head: the pull request's commit."""
        if merged.outcome != "merged":
            reason = _LEFT_OUT_REASONS[merged.outcome].format(paths=", ".join(merged.paths))
            return await self._leave_out(ask, place, reason)
        sha = await place.clone.read_head()
        try:
            await self._checkpoint_merge(place, sha, head)
        except SecretInChange:
            return await self._leave_out(ask, place, "It holds one of the project's secrets.")
        except ProtectedPath as refusal:
            paths = ", ".join(refusal.paths)
            return await self._leave_out(ask, place, f"Merged, it is not as anybody proposed: {paths}.")
        except (ChangeTooLarge, ChangeMalformed, WorkTreeDamaged) as refusal:
            return await self._leave_out(ask, place, refusal.message)
        if MergeConfig.model_validate(place.job.config).check_command is not None:
            return PullMergeResult(outcome="unchecked", commit_sha=sha)
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, ask.job_id, with_for_update=True)
            record_pull_request_merged(session, job, ask.number, sha)
        return PullMergeResult(outcome="merged")

    async def _checkpoint_merge(self, place: MergeContext, sha: str, head: str) -> None:
        """Save what is integrated before it counts, for a new sandbox to go on from.

        Foreign code may have run in the sandbox, as agents' commands do: the commit has to hold what was to
        be merged all the same, and protected paths as the pull request or the merge before has them.
        """
        merge = ExpectedMerge(sha, place.last_good_sha, head)
        await save_checkpoint(self.database, place.clone, place.job.id, place.base, merge)

    async def _leave_out(self, ask: PullMerge, place: MergeContext, reason: str) -> PullMergeResult:
        await place.clone.reset_to(place.last_good_sha)
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, ask.job_id, with_for_update=True)
            record_pull_request_outcome(session, job, ask.number, "left_out", reason)
        return PullMergeResult(outcome="left_out")


class CombinedMergePlan(BaseModel):
    numbers: list[int]
    """In the order in which they are merged."""
    time_limit_seconds: int
    check_command: str | None = None
    """Run on every commit that is integrated."""


class CheckedCommit(BaseModel):
    """What the check command said of a commit that merges one pull request."""

    job_id: str
    number: int
    commit_sha: str
    command: str
    result: CommandResult


class PullConflict(SandboxRef):
    number: int
    paths: list[str]
    """Those that git could not merge."""


class CombinedMergeJobActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn(name="begin_integration")
    async def begin_combined_merge(self, job_id: str) -> CombinedMergePlan | None:
        """Take the job, unless the API already did; None when it has ended."""
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            if job.status.is_final:
                return None
            if job.mark_started():
                append_event(session, job, EventType.merge_started)
            config = MergeConfig.model_validate(job.config)
            return CombinedMergePlan(
                numbers=job.pull_request_numbers,
                time_limit_seconds=config.sandbox.timeout_ms // 1000,
                check_command=config.check_command,
            )

    @activity.defn(name="settle_checked")
    async def settle_checked_commit(self, checked: CheckedCommit) -> None:
        """Take a commit on which the check command passed, or leave its pull request out; once."""
        result = checked.result
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, checked.job_id, with_for_update=True)
            if result.passed:
                record_pull_request_merged(session, job, checked.number, checked.commit_sha)
                return
            ending = result.reason or f"ends with exit code {result.exit_code}: {result.output[-500:]}"
            reason = f"With it `{checked.command}` {ending}"
            record_pull_request_outcome(session, job, checked.number, "left_out", reason)

    @activity.defn
    async def open_solver(self, conflict: PullConflict) -> OpenedSession:
        """The session of the agent that solves a pull request's conflicts, told what all sides wanted."""
        label = f"Conflicts of #{conflict.number}"
        snapshot = await load_snapshot(self.database, conflict.job_id)
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, conflict.job_id, with_for_update=True)
            statement = select(AgentSession).where(
                col(AgentSession.job_id) == job.id, col(AgentSession.label) == label
            )
            found: AgentSession | None = (await session.execute(statement)).scalar_one_or_none()
            if found is None:
                agent = snapshot.steps[0].model_copy(update={"label": label})
                found = await open_session(
                    session,
                    job,
                    snapshot,
                    agent,
                    SessionKind.worker,
                    _conflict_prompt(job, conflict),
                    sandbox_id=conflict.sandbox_id,
                )
            return OpenedSession.of(found)

    @activity.defn(name="close_integration")
    async def close_combined_merge(self, close: CloseJob) -> MergeStatus:
        """The last word, told to the members; one that is cancelled in the engine has failed."""
        ending, completed = close.ending, close.ending.status == "completed"
        code = "CANCELLED" if ending.status == "cancelled" else ending.code
        message = ending.message or ("" if completed else "The merge was cancelled.")
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, close.job_id, with_for_update=True)
            status = MergeStatus.completed if completed else MergeStatus.failed
            if job.close(status, code, None if completed else message):
                event = append_event(
                    session, job, EventType.merge_ended, {"status": job.status, "code": code}
                )
                data: JsonObject = {"mergeJobId": job.id, "prUrl": job.pr_url}
                kind = NotificationType.pr_created if completed else NotificationType.pr_failed
                title = f"{job.name} {'opened a pull request' if completed else 'failed'}"
                await notify_members(session, event, kind, title, job.pr_url or message, data)
            return job.status


def _conflict_prompt(job: MergeJob, conflict: PullConflict) -> str:
    """Both sides' descriptions, and where they meet."""
    wanted = job.descriptions.get(str(conflict.number), "")
    others = [
        untrusted_section("pull-request", job.descriptions.get(str(number), ""), number=number)
        for number in job.numbers_with("merged")
    ]
    files = "\n".join(f"- {path}" for path in conflict.paths)
    return "\n\n".join(
        [
            trusted_section("task", f"Solve the conflicts of merging pull request #{conflict.number}."),
            untrusted_section("this", wanted, pull_request=conflict.number),
            trusted_section("merged-before", "\n".join(others)),
            untrusted_section("conflicts", files),
        ]
    )
