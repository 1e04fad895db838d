"""Sandboxes of one's own: created, renamed, and talked to."""

from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.agent.messages import queue_message
from api.auth import requires
from api.github.repository_fields import parse_repository_field, require_branch_name
from api.http.responses import Item
from api.http.router import Router
from api.routes.sandboxes.sandboxes import Sandboxes
from api.sandboxes.live import require_live
from kit.errors import Conflict, Invalid
from models import Project, Run, SandboxJob
from models.jobs.job import Job
from models.jobs.job_lookup import get_job
from models.runs.run import RunStatus
from models.sandboxes.live_sandbox_schemas import (
    SandboxCreateBody,
    SandboxMessage,
    SandboxMessageRead,
    SandboxRename,
)
from models.sandboxes.sandbox_create import create_sandbox
from models.sandboxes.sandbox_schemas import SandboxRead

router = Router("/sandboxes", "Sandboxes")
WRITE = requires("sandboxes:write")


@router.post("/create", WRITE, creates=True, name="create_sandbox")
async def create(
    body: SandboxCreateBody, sandboxes: Sandboxes, session: DbSession, workflows: AfterCommitDep
) -> Item[SandboxRead]:
    """Create a sandbox of one's own with a repository in it.

    `creating` as soon as it is safe: it is made, cloned into and filled in the background, and kept for
    `timeoutMs` from then on, or until it is deleted. 409 when the project has as many live ones as it may.
    """
    unit = sandboxes.unit
    settings = unit.api.settings
    project = await session.get_one(Project, unit.key.project_id)
    url = body.github_repo_url or project.github_repo_url
    if url is None:
        raise Invalid("Give githubRepoUrl, or set the project's repository.", field="githubRepoUrl")
    require_branch_name(body.branch_name)
    require_branch_name(body.base_branch, "baseBranch")
    job, sandbox = await create_sandbox(
        session,
        project,
        body,
        repository_slug=parse_repository_field(url, settings),
        repository_url=url,
        default_model=settings.default_model,
        most=settings.own_sandboxes_per_project,
    )
    start_after_commit(job, workflows)
    return sandboxes.item(sandbox.id)


@router.post("/rename", WRITE)
async def rename_sandbox(body: SandboxRename, sandboxes: Sandboxes) -> Item[SandboxRead]:
    """Rename a sandbox."""
    row = await sandboxes.get(body.sandbox_id, lock=True)
    row.name = body.name
    return sandboxes.item(row.id)


@router.post("/send-message", WRITE, creates=True)
async def send_sandbox_message(
    body: SandboxMessage, sandboxes: Sandboxes, session: DbSession, workflows: AfterCommitDep
) -> SandboxMessageRead:
    """Send a message to the agent in a sandbox; it is told before its next turn.

    In a live run's sandbox that is the run's agent. In a sandbox of one's own an agent works on it there, in
    one conversation that goes on with every message; several messages are taken in order. The answers are
    read with `GET /sandboxes/messages`. 409 when nobody is there who could be told.
    """
    sandbox = await sandboxes.get(body.sandbox_id)
    require_live(sandbox.status)
    job = await get_job(session, sandbox.job_id)
    _require_listening(job)
    message = await queue_message(sandboxes.unit, workflows, job, body.content)
    return SandboxMessageRead(
        id=message.id,
        sandbox_id=sandbox.id,
        run_id=job.id if isinstance(job, Run) else None,
        content=message.content,
        status="queued",
        created_at=message.created_at,
    )


def _require_listening(job: Job) -> None:
    match job:
        case Run(status=RunStatus.pending | RunStatus.running | RunStatus.paused):
            return
        case Run():
            raise Conflict(f"Run {job.run_number} is {job.status} and cannot be sent a message.")
        case SandboxJob():
            if job.is_finished:
                raise Conflict("The sandbox is being removed: it takes no messages.")
        case _:
            raise Conflict(
                "The agent in this sandbox takes no messages: only those of runs do, and one's own."
            )
