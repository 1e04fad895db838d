"""Where a pull request is merged with others: the job, its sandbox, and the clone in it."""

from dataclasses import dataclass

from activities.checkpoints import save
from activities.credentials import Credentials
from activities.outside import Outside
from activities.sandboxes import SandboxRef
from activities.snapshots import snapshot_of
from gateways.integration import Integration
from gateways.sandbox import SandboxHandle
from kit.database import Database
from models import MergeJob, Sandbox
from models.job_snapshot import Snapshot


@dataclass(frozen=True)
class Place:
    job: MergeJob
    snapshot: Snapshot
    credentials: Credentials
    handle: SandboxHandle
    integration: Integration

    @property
    def good(self) -> str:
        """The last commit that holds."""
        return str(self.job.integrated_sha or self.job.base_sha)

    @property
    def who(self) -> tuple[str, str]:
        return self.snapshot.git_name, self.snapshot.git_email

    async def keep(self) -> bool:
        """Save what is integrated before it counts, for a new sandbox to go on from; False for a secret."""
        scrubber, base = self.credentials.scrubber, str(self.job.base_sha)
        return await save(self.integration, scrubber, self.job.id, base)


async def place_of(database: Database, outside: Outside, ref: SandboxRef) -> Place:
    async with database.reading() as session:
        job = await session.get_one(MergeJob, ref.job_id)
        sandbox = await session.get_one(Sandbox, ref.sandbox_id)
    snapshot = await snapshot_of(database.direct, job.id)
    credentials = await outside.credentials(job.project_id)
    handle = await outside.attach(credentials, sandbox)
    url, token = outside.clone_url(job.repository_slug), outside.github_token(credentials)
    return Place(job, snapshot, credentials, handle, Integration(handle, url, token))
