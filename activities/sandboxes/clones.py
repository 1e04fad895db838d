"""What was cloned into a job's sandbox, on the job's row, in the sandbox's log and in the job's."""

from activities.jobs.context import JobContext
from activities.sandboxes.lifecycle import SandboxRef
from gateways.git.repository import CloneBase
from kit.database import Database
from models.base import JsonObject
from models.event import EventType, append_event
from models.jobs.job_lookup import get_job
from models.sandboxes.sandbox import SandboxEventType, is_cloned, sandbox_event


async def record_clone(
    database: Database, ref: SandboxRef, place: JobContext, cloned: CloneBase, branch: str, files: int
) -> None:
    """Write down what was cloned, once a sandbox; nothing for a job that is over.

    What the clone says of itself later does not count: by then an agent may have written it.
    branch: the one to work on; files: how many of the project's came along.
    """
    message = f"Cloned {place.repository_slug} at {cloned.base_sha}."
    data: JsonObject = {
        "sandboxId": ref.sandbox_id,
        "branch": branch,
        "baseBranch": cloned.base_branch,
        "baseSha": cloned.base_sha,
    }
    async with database.transaction() as session:
        job = await get_job(session, ref.job_id, lock=True)
        if job.is_over or await is_cloned(session, ref.sandbox_id):
            return
        job.cloned(cloned.base_branch, cloned.base_sha)
        session.add(sandbox_event(ref.sandbox_id, SandboxEventType.clone, message))
        session.add(
            sandbox_event(ref.sandbox_id, SandboxEventType.install, f"Put {files} project files in place.")
        )
        append_event(session, job, EventType.repository_cloned, data)
