"""What the merge of several pull requests writes about itself: short transactions, as local activities.

Each is safe to repeat: a job that is taken stays so, a solver is found again, and the first ending stays.
"""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity

from activities.agent_sessions import Opened, open_session
from activities.jobs import CloseJob
from activities.sandboxes import SandboxRef
from activities.snapshots import snapshot_of
from kit.database import Database
from models import AgentSession, MergeJob
from models.base import JsonObject
from models.event import EventType, append
from models.merge_job import MergeStatus
from models.merge_start import MergeConfig
from models.notification import NotificationType, notify
from models.session_kind import SessionKind


class IntegrationPlan(BaseModel):
    numbers: list[int]
    """In the order in which they are merged."""
    time_limit_seconds: int
    max_cost_usd: float | None


class Conflict(SandboxRef):
    number: int
    paths: list[str]
    """Those that git could not merge."""


class Integrations:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_integration(self, job_id: str) -> IntegrationPlan | None:
        """Take the job, unless the API already did; None when it has ended."""
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            if job.status.is_final:
                return None
            if job.take():
                append(session, job, EventType.merge_started)
            config = MergeConfig.model_validate(job.config)
            return IntegrationPlan(
                numbers=job.numbers,
                time_limit_seconds=config.sandbox.timeout_ms // 1000,
                max_cost_usd=float(config.max_cost_usd) if config.max_cost_usd else None,
            )

    @activity.defn
    async def open_solver(self, conflict: Conflict) -> Opened:
        """The session of the agent that solves a pull request's conflicts, told what all sides wanted."""
        label = f"Conflicts of #{conflict.number}"
        snapshot = await snapshot_of(self.database.direct, conflict.job_id)
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, conflict.job_id, with_for_update=True)
            statement = select(AgentSession).where(
                col(AgentSession.job_id) == job.id, col(AgentSession.label) == label
            )
            found: AgentSession | None = (await session.execute(statement)).scalar_one_or_none()
            if found is None:
                agent = snapshot.steps[0].model_copy(update={"label": label})
                found = await open_session(
                    session, job, snapshot, agent, SessionKind.worker, _prompt(job, conflict),
                    sandbox_id=conflict.sandbox_id,
                )  # fmt: skip
            return Opened.of(found)

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
                event = append(session, job, EventType.merge_ended, {"status": job.status, "code": code})
                data: JsonObject = {"mergeJobId": job.id, "prUrl": job.pr_url}
                kind = NotificationType.pr_created if completed else NotificationType.pr_failed
                title = f"{job.name} {'opened a pull request' if completed else 'failed'}"
                await notify(session, event, kind, title, job.pr_url or message, data)
            return job.status


def _prompt(job: MergeJob, conflict: Conflict) -> str:
    """Both sides' descriptions, and where they meet."""
    wanted = job.descriptions.get(str(conflict.number), "")
    others = [
        f'<pull-request number="{number}">\n{job.descriptions.get(str(number), "")}\n</pull-request>'
        for number in job.numbers_with("merged")
    ]
    files = "\n".join(f"- {path}" for path in conflict.paths)
    return "\n\n".join(
        [
            f"<task>\nSolve the conflicts of merging pull request #{conflict.number}.\n</task>",
            f'<this pull-request="{conflict.number}">\n{wanted}\n</this>',
            "<merged-before>\n" + "\n".join(others) + "\n</merged-before>",
            f"<conflicts>\n{files}\n</conflicts>",
        ]
    )
