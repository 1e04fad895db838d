"""Starting a run: its number, its row, its snapshot and its first event, in the caller's transaction."""

import re
from typing import Annotated

from pydantic import Field as Bounded
from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import NotFound
from kit.wire import Body
from models.blueprint import Blueprint, BlueprintConfig
from models.event import EventType, append
from models.issue import follow_run
from models.job_snapshot import JobSnapshot, Snapshot, add_job
from models.project import Project
from models.run import Run, RunSource
from models.shelf import Shelf


class RunStart(Body):
    """What a client says to start a run."""

    workflow_id: str
    prompt: Annotated[str, Bounded(min_length=1, max_length=200_000)]
    github_repo_url: Annotated[str, Bounded(max_length=500)] | None = None
    """Where the code is; the project's repository when it is left out."""
    name: Annotated[str, Bounded(min_length=1, max_length=200)] | None = None
    base_branch: Annotated[str, Bounded(min_length=1, max_length=250)] | None = None


async def create_run(
    session: AsyncSession,
    *,
    project_id: str,
    request: RunStart,
    repository_slug: str,
    repository_url: str,
    default_model: str,
    source: RunSource = RunSource.api,
    unique_key: str | None = None,
) -> Run:
    """A pending run; NotFound for an unknown workflow, Invalid or Conflict for one that cannot run."""
    blueprint = await session.get(Blueprint, request.workflow_id)
    if blueprint is None or blueprint.project_id != project_id or blueprint.deleted_at:
        raise NotFound("Workflow not found.")
    snapshot = await _snapshot(session, blueprint, request, default_model)
    run = Run(
        project_id=project_id,
        run_number=await _next_number(session, project_id),
        name=request.name or title(request.prompt),
        source=source,
        prompt=request.prompt,
        github_repo_url=repository_url,
        repository_slug=repository_slug,
        base_branch=snapshot.base_branch,
        blueprint_id=blueprint.id,
        blueprint_name=blueprint.name,
        max_iterations=max(step.loop_max_iterations for step in snapshot.steps),
        unique_key=unique_key,
    )
    await _add(session, run, snapshot)
    return run


async def restart_run(session: AsyncSession, old: Run) -> Run:
    """A new pending run with the old one's snapshot: the same work as it was asked for then.

    The old one's issues follow the new one from now on.
    """
    row = await session.get_one(JobSnapshot, old.id)
    copied = ("name", "source", "prompt", "github_repo_url", "repository_slug", "base_branch", "blueprint_id",
              "blueprint_name", "max_iterations", "chain_id", "recurring_task_id")  # fmt: skip
    run = Run(
        project_id=old.project_id,
        run_number=await _next_number(session, old.project_id),
        restarted_from=old.id,
        **{name: getattr(old, name) for name in copied},
    )
    await _add(session, run, Snapshot.model_validate(row.document))
    await follow_run(session, run, instead_of=old)
    return run


async def _add(session: AsyncSession, run: Run, snapshot: Snapshot) -> None:
    run.branch_name = f"codecourier/{run.run_number}-{slug(run.name)}"
    snapshot = snapshot.model_copy(update={"branch_name": run.branch_name})
    await add_job(session, run, snapshot)
    append(session, run, EventType.run_created, {"runNumber": run.run_number, "name": run.name})


async def _next_number(session: AsyncSession, project_id: str) -> int:
    statement = (
        update(Project).where(col(Project.id) == project_id)
        .values(run_count=Project.run_count + 1).returning(col(Project.run_count))
    )  # fmt: skip
    number: int = (await session.execute(statement)).scalar_one()
    return number


async def _snapshot(
    session: AsyncSession, blueprint: Blueprint, request: RunStart, default_model: str
) -> Snapshot:
    project = await session.get_one(Project, blueprint.project_id)
    config = BlueprintConfig.model_validate(blueprint.config)
    shelf = Shelf(session, project.id)
    steps = [await shelf.step(index, step, default_model) for index, step in enumerate(blueprint.steps)]
    return Snapshot(
        blueprint_version=blueprint.version,
        prompt=request.prompt,
        steps=steps,
        config=config,
        base_branch=request.base_branch or config.base_branch,
        branch_name="",
        claude_md=project.claude_md,
        sandbox_system_prompt=project.sandbox_system_prompt,
        skills=list(shelf.skills.values()),
        commands=list(shelf.commands.values()),
        git_name=project.git_commit_name,
        git_email=project.git_commit_email,
    )


def title(prompt: str) -> str:
    """A run's name when none is given: the first line of its prompt, at most 80 characters."""
    line = next((line.strip() for line in prompt.splitlines() if line.strip()), "Run")
    return line if len(line) <= 80 else line[:79].rstrip() + "…"


def slug(name: str) -> str:
    """Lowercase words joined by hyphens, at most 40 characters, safe in a branch name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "run"
