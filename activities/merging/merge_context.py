"""Where a pull request is merged with others: the job, its sandbox, and the clone in it."""

from dataclasses import dataclass

from activities.gateway_factory import GatewayFactory
from activities.jobs.snapshots import load_snapshot
from activities.projects.credentials import Credentials
from activities.sandboxes.lifecycle import SandboxRef
from gateways.git.combined_merge import CombinedMergeClone
from gateways.git.repository import CloneBase
from gateways.sandboxes.sandbox import SandboxHandle
from kit.database import Database
from models import MergeJob, Sandbox
from models.jobs.snapshot import Snapshot


@dataclass(frozen=True)
class MergeContext:
    job: MergeJob
    snapshot: Snapshot
    credentials: Credentials
    handle: SandboxHandle
    integration: CombinedMergeClone

    @property
    def good(self) -> str:
        """The last commit that holds."""
        return str(self.job.integrated_sha or self.job.base_sha)

    @property
    def who(self) -> tuple[str, str]:
        return self.snapshot.git_name, self.snapshot.git_email

    @property
    def base(self) -> CloneBase:
        """What the sandbox's clone was made from."""
        return CloneBase(str(self.job.base_branch), str(self.job.base_sha))


async def load_merge_context(database: Database, outside: GatewayFactory, ref: SandboxRef) -> MergeContext:
    async with database.reading() as session:
        job = await session.get_one(MergeJob, ref.job_id)
        sandbox = await session.get_one(Sandbox, ref.sandbox_id)
    snapshot = await load_snapshot(database, job.id)
    credentials = await outside.credentials(job.project_id)
    handle = await outside.attach(credentials, sandbox)
    url, token = await outside.remote(credentials, job.repository_slug)
    integration = CombinedMergeClone(handle, url, token, outside.git, credentials.push_policy)
    return MergeContext(job, snapshot, credentials, handle, integration)
