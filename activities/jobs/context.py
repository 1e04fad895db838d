"""What an activity has to know that works in a job's sandbox."""

from typing import NamedTuple

from sqlalchemy import select
from sqlmodel import col

from activities.gateway_factory import GatewayFactory
from activities.projects.credentials import Credentials
from activities.sandboxes.checkpoints import has_checkpoint
from gateways.git.repository import CloneBase, Repository
from gateways.sandboxes.sandbox import SandboxHandle
from kit.database import Database
from models import Run, Sandbox
from models.jobs.job_lookup import get_job
from models.sandboxes.sandbox import SandboxPurpose


class JobContext(NamedTuple):
    """A job and the sandbox that it uses."""

    name: str
    project_id: str
    repository_slug: str
    base_branch: str | None
    base_sha: str | None
    """None until the repository is cloned."""
    provider_id: str | None
    timeout_ms: int
    purpose: SandboxPurpose
    commit_sha: str | None
    """The commit that a verification is of."""
    has_checkpoint: bool
    pushed_branch: str | None
    """The run's branch, once it is on the remote: work goes on from there."""
    pushed_sha: str | None
    """The run's own last commit on it."""

    @property
    def base(self) -> CloneBase:
        """What its sandbox's clone was made from."""
        assert self.base_branch, "known since the clone"
        assert self.base_sha, "known since the clone"
        return CloneBase(self.base_branch, self.base_sha)

    @property
    def is_verification(self) -> bool:
        return self.purpose is SandboxPurpose.verification


async def load_job_context(database: Database, job_id: str, sandbox_id: str) -> JobContext:
    of_job = select(Sandbox).where(col(Sandbox.id) == sandbox_id, col(Sandbox.job_id) == job_id)
    async with database.read_only() as session:
        job = await get_job(session, job_id)
        sandbox: Sandbox = (await session.execute(of_job)).scalar_one()
        return JobContext(
            job.name,
            job.project_id,
            job.repository_slug,
            job.base_branch,
            job.base_sha,
            sandbox.provider_id,
            sandbox.timeout_ms,
            sandbox.purpose,
            sandbox.commit_sha,
            await has_checkpoint(session, job_id),
            job.pushed_branch if isinstance(job, Run) else None,
            job.head_sha if isinstance(job, Run) else None,
        )


async def open_repository(
    outside: GatewayFactory, credentials: Credentials, handle: SandboxHandle, slug: str
) -> Repository:
    """The clone in a job's sandbox, with what its project lets nobody push; the token stays on this side."""
    url, token = await outside.remote(credentials, slug)
    return Repository(handle, url, token, outside.git, credentials.push_policy)
