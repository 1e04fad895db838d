"""What the merge of several pull requests writes about itself: short transactions, as local activities.

Each is safe to repeat: a job that is taken stays so, a solver is found again, and the first ending stays.
"""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity

from activities.agent.sessions import OpenedSession, open_session
from activities.jobs.lifecycle import CloseJob
from activities.jobs.snapshots import load_snapshot
from activities.sandboxes.lifecycle import SandboxRef
from kit.database import Database
from models import AgentSession, MergeJob
from models.agent.sections import trusted_section, untrusted_section
from models.agent.session_kind import SessionKind
from models.base import JsonObject
from models.event import EventType, append_event
from models.merging.combined_merge_start import MergeConfig
from models.merging.merge_job import MergeStatus
from models.merging.merge_outcome import record_pull_request_merged, record_pull_request_outcome
from models.notifications.notification import NotificationType, notify_members
from models.verification.verification import CommandResult


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

    @activity.defn
    async def begin_integration(self, job_id: str) -> CombinedMergePlan | None:
        """Take the job, unless the API already did; None when it has ended."""
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            if job.status.is_final:
                return None
            if job.take():
                append_event(session, job, EventType.merge_started)
            config = MergeConfig.model_validate(job.config)
            return CombinedMergePlan(
                numbers=job.numbers,
                time_limit_seconds=config.sandbox.timeout_ms // 1000,
                check_command=config.check_command,
            )

    @activity.defn
    async def settle_checked(self, checked: CheckedCommit) -> None:
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

    @activity.defn
    async def close_integration(self, close: CloseJob) -> MergeStatus:
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
