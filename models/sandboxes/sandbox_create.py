"""Creating a sandbox of one's own: its job, snapshot, row and first events, in one transaction."""

from typing import Annotated

from pydantic import Field as Bounded
from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict
from kit.schemas import Title
from models.blueprints.blueprint import SandboxConfig
from models.blueprints.persona import StepRole, ThinkingEffort
from models.event import EventType, append_event
from models.jobs.snapshot import StepSnapshot, add_job, agents_snapshot
from models.jobs.snapshot_builder import DEFAULT_MAX_TURNS
from models.projects.project import Project
from models.sandboxes.sandbox import Sandbox, SandboxStatus
from models.sandboxes.sandbox_job import SandboxJob

COMPANION_INSTRUCTIONS = (
    "You work for a user who is with you in this sandbox: they read every answer of yours and can reply. Do "
    "what each message asks, no more, and check it. When you are done, or need to know something, answer in "
    "plain text without calling a tool: that hands the word back to the user. The changes stay in the work "
    "tree unless the user asks for a commit."
)
"""What the agent is told that the user talks with."""
Branch = Annotated[str, Bounded(min_length=1, max_length=200)]


class SandboxCreate(SandboxConfig):
    """What a client says to create a sandbox; everything has a default."""

    name: Title | None = None
    """What the sandbox is called; the repository's name when it is left out."""
    github_repo_url: Annotated[str, Bounded(max_length=500)] | None = None
    """The repository to clone; the project's when it is left out."""
    branch_name: Branch | None = None
    """The branch to work on: as it is on GitHub if it exists there, else a new one from the base branch."""
    base_branch: Branch | None = None
    """The branch that a new branch starts from; the repository's default branch when it is left out."""


async def create_sandbox(
    session: AsyncSession,
    project: Project,
    request: SandboxCreate,
    *,
    repository_slug: str,
    repository_url: str,
    default_model: str,
    most: int,
) -> tuple[SandboxJob, Sandbox]:
    """The rows of a new sandbox; Conflict when the project has `most` that live."""
    await session.get_one(Project, project.id, with_for_update={"key_share": True})  # one create at a time
    if await _count_live(session, project.id) >= most:
        raise Conflict(
            f"The project has {most} live sandboxes of its own, which is as many as it may have: delete one."
        )
    config = SandboxConfig(**request.model_dump(include=set(SandboxConfig.model_fields)))
    job = SandboxJob(
        project_id=project.id,
        name=request.name or repository_slug,
        repository_slug=repository_slug,
        github_repo_url=repository_url,
        base_branch=request.base_branch,
        timeout_ms=config.timeout_ms,
    )
    job.branch_name = request.branch_name or f"codecourier/sandbox-{job.id[-8:]}"
    agent = StepSnapshot(
        index=0,
        role=StepRole.custom,
        label="Conversation",
        model=default_model,
        thinking_effort=ThinkingEffort.medium,
        instructions=COMPANION_INSTRUCTIONS,
        max_turns=DEFAULT_MAX_TURNS,
    )
    snapshot = agents_snapshot(project, [agent], job.name, config)
    wanted = {"branch_name": job.branch_name, "continues_branch": request.branch_name is not None}
    await add_job(session, job, snapshot.model_copy(update=wanted))
    sandbox = Sandbox(project_id=project.id, job_id=job.id, name=job.name, **config.model_dump())
    session.add(sandbox)
    append_event(session, job, EventType.sandbox_creating, {"sandboxId": sandbox.id})
    return job, sandbox


async def _count_live(session: AsyncSession, project_id: str) -> int:
    """Sandboxes of the project's own that a job keeps; the trash does not hide what still runs."""
    statement = (
        select(func.count())
        .select_from(Sandbox)
        .join(SandboxJob, col(SandboxJob.id) == col(Sandbox.job_id))
        .where(
            col(SandboxJob.project_id) == project_id,
            col(SandboxJob.completed_at).is_(None),
            col(Sandbox.status).not_in([SandboxStatus.killed, SandboxStatus.error]),
        )
    )
    count: int = (await session.execute(statement)).scalar_one()
    return count
