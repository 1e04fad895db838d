"""Sandboxes of one's own that live for seconds."""

from activities.jobs.launch import start_row
from models import FollowUp, Project, Sandbox, SandboxJob
from models.sandboxes.sandbox_create import SandboxCreate, create_sandbox
from tests.support.installation import Installation


async def create_pending_sandbox_job(
    site: Installation, project_id: str, slug: str, words: str, seconds: float
) -> tuple[SandboxJob, Sandbox]:
    """One with a message that waits, as the API leaves it when it is killed before the start."""
    async with site.database.transaction() as session:
        project = await session.get_one(Project, project_id)
        job, sandbox = await create_sandbox(
            session,
            project,
            SandboxCreate(),
            repository_slug=slug,
            repository_url=f"{site.settings.github_url}/{slug}",
            default_model=site.settings.default_model,
            most=100,
        )
        job.timeout_ms = round(seconds * 1000)
        session.add(FollowUp(project_id=project_id, job_id=job.id, content=words))
    return job, sandbox


async def start(
    site: Installation, project_id: str, slug: str, words: str, seconds: float
) -> tuple[SandboxJob, Sandbox]:
    job, sandbox = await create_pending_sandbox_job(site, project_id, slug, words, seconds)
    await start_row(site.client, job)
    return job, sandbox
