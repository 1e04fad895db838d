"""Starting a run: its number, its row, its snapshot and its first event, in the caller's transaction."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounded
from sqlalchemy import select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Invalid, NotFound
from kit.schemas import Body, CapUsd, Title
from models.base import JsonObject
from models.blueprints.blueprint import Blueprint, BlueprintConfig
from models.blueprints.persona import StepRole
from models.budgets.budget import get_cap
from models.event import EventType, append_event
from models.issues.issue import update_issues_of_run
from models.jobs.snapshot import ImageSnapshot, JobSnapshot, Snapshot, add_job
from models.jobs.snapshot_builder import SnapshotBuilder
from models.projects.project import Project
from models.runs.checkpoints import is_checkpoint_retained
from models.runs.continuation import Continuation, plan_continuation
from models.runs.run import Run, RunPriority, RunSource
from models.runs.run_step import RunStep
from models.runs.uploaded_file import MAX_IMAGES, MAX_TOTAL_BYTES, UploadedFile

Branch = Annotated[str, Bounded(min_length=1, max_length=250)]


class RunStart(Body):
    """What a client says to start a run."""

    workflow_id: str
    """The workflow to run."""
    prompt: Annotated[str, Bounded(min_length=1, max_length=200_000, pattern=r"\S")]
    """What is asked for."""
    github_repo_url: Annotated[str, Bounded(max_length=500)] | None = None
    """Where the code is; the project's repository when it is left out."""
    name: Title | None = None
    """What people call the run; the first line of the prompt when it is left out."""
    base_branch: Annotated[str, Bounded(min_length=1, max_length=250)] | None = None
    """The branch that the run works from; the workflow's, or the default branch, when it is left out."""
    reference_images: list[str] = Bounded(default_factory=list, max_length=MAX_IMAGES)
    """Uploaded images, by their ids, that every agent is shown with its task; at most 20 MiB in all."""
    compare_branches: Annotated[list[Branch], Bounded(max_length=10)] = Bounded(default_factory=list)
    """Alternative branches, two at least, that the workflow's judge steps compare and rank."""
    max_cost_usd: CapUsd | None = None
    """What the run may cost, in US dollars; the workflow's `config.maxCostUsd` when it is left out."""


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
    creates_base_branch: bool = False,
    priority: int = RunPriority.normal,
) -> Run:
    """A pending run; NotFound for an unknown workflow, Invalid or Conflict for one that cannot run.

    creates_base_branch: make the request's base branch from the default branch if it does not exist.
    """
    blueprint = await session.get(Blueprint, request.workflow_id)
    if blueprint is None or blueprint.project_id != project_id or blueprint.deleted_at:
        raise NotFound("Workflow not found.")
    snapshot = await _snapshot(session, blueprint, request, default_model)
    _require_comparable_branches(request.compare_branches, snapshot)
    snapshot.creates_base_branch = creates_base_branch
    run = Run(
        project_id=project_id,
        run_number=await _next_number(session, project_id),
        name=request.name or run_name_from_prompt(request.prompt),
        source=source,
        prompt=request.prompt,
        github_repo_url=repository_url,
        repository_slug=repository_slug,
        base_branch=snapshot.base_branch,
        blueprint_id=blueprint.id,
        blueprint_name=blueprint.name,
        max_iterations=max(step.loop_max_iterations for step in snapshot.steps),
        unique_key=unique_key,
        priority=priority,
    )
    own = request.max_cost_usd
    await _add_run(
        session, run, snapshot, own or snapshot.config.max_cost_usd, "maxCostUsd" if own else "workflowId"
    )
    return run


async def restart_run(session: AsyncSession, old: Run, *, from_scratch: bool = False) -> Run:
    """A new pending run with the old one's snapshot and cap: the same work as it was asked for then.

    It goes on from what the old one pushed, unless that completed or `from_scratch` says otherwise.  The old
    one's issues follow the new one from now on.
    """
    row = await session.get_one(JobSnapshot, old.id)
    snapshot = Snapshot.model_validate(row.document)
    continues = None if from_scratch else await _continuation(session, old, snapshot)
    copied = (
        "name",
        "source",
        "prompt",
        "github_repo_url",
        "repository_slug",
        "base_branch",
        "blueprint_id",
        "blueprint_name",
        "max_iterations",
        "chain_id",
        "recurring_task_id",
        "priority",
    )
    run = Run(
        project_id=old.project_id,
        run_number=await _next_number(session, old.project_id),
        restarted_from=old.id,
        continues_run_id=continues.run_id if continues else None,
        **{name: getattr(old, name) for name in copied},
    )
    snapshot = snapshot.model_copy(update={"continues": continues})
    await _add_run(session, run, snapshot, await get_cap(session, old.id))
    await update_issues_of_run(session, run, instead_of=old)
    return run


async def _continuation(session: AsyncSession, old: Run, snapshot: Snapshot) -> Continuation | None:
    statement = select(RunStep).where(col(RunStep.run_id) == old.id).order_by(col(RunStep.id))
    steps = list((await session.execute(statement)).scalars())
    blocks = [[step.index for step in block] for block in snapshot.blocks]
    before = snapshot.continues
    if before is not None and before.checkpoint_of is not None:
        lost = await session.get(Run, before.checkpoint_of)
        if not await is_checkpoint_retained(session, lost):
            before = None
    kept = await is_checkpoint_retained(session, old)
    return plan_continuation(old, steps, blocks, before, has_checkpoint=kept)


async def _add_run(
    session: AsyncSession, run: Run, snapshot: Snapshot, cap_usd: Decimal | None, field: str | None = None
) -> None:
    run.branch_name = f"codecourier/{run.run_number}-{slugify(run.name)}"
    snapshot = snapshot.model_copy(update={"branch_name": run.branch_name})
    await add_job(session, run, snapshot, cap_usd=cap_usd, field=field)
    data: JsonObject = {"runNumber": run.run_number, "name": run.name}
    if run.continues_run_id:
        data["continuesRunId"] = run.continues_run_id
    append_event(session, run, EventType.run_created, data)


async def _next_number(session: AsyncSession, project_id: str) -> int:
    statement = (
        update(Project)
        .where(col(Project.id) == project_id)
        .values(run_count=Project.run_count + 1)
        .returning(col(Project.run_count))
    )
    number: int = (await session.execute(statement)).scalar_one()
    return number


async def _snapshot(
    session: AsyncSession, blueprint: Blueprint, request: RunStart, default_model: str
) -> Snapshot:
    project = await session.get_one(Project, blueprint.project_id)
    config = BlueprintConfig.model_validate(blueprint.config)
    shelf = SnapshotBuilder(session, project)
    steps = [await shelf.build_step(index, step, default_model) for index, step in enumerate(blueprint.steps)]
    await shelf.add_slash_commands(request.prompt, *(step.prompt for step in steps))
    return Snapshot(
        blueprint_version=blueprint.version,
        prompt=request.prompt,
        steps=steps,
        config=config,
        base_branch=request.base_branch or config.base_branch,
        branch_name="",
        compare_branches=request.compare_branches,
        claude_md=project.claude_md,
        sandbox_system_prompt=project.sandbox_system_prompt,
        skills=list(shelf.skills.values()),
        commands=list(shelf.commands.values()),
        command_versions=await shelf.load_command_versions(),
        git_name=project.git_commit_name,
        git_email=project.git_commit_email,
        images=await _images(session, project.id, request.reference_images),
    )


async def _images(session: AsyncSession, project_id: str, ids: Sequence[str]) -> list[ImageSnapshot]:
    """The uploaded images of these ids, held until the commit; Invalid for one that cannot be used."""
    statement = (
        select(UploadedFile)
        .where(col(UploadedFile.id).in_(ids), col(UploadedFile.project_id) == project_id)
        .order_by(col(UploadedFile.id))
        .with_for_update()
    )
    found = {file.id: file for file in (await session.execute(statement)).scalars()} if ids else {}
    for index, each in enumerate(ids):
        field = f"referenceImages.{index}"
        if each not in found:
            raise Invalid(f"{field}: There is no such file.", field=field)
        if found[each].uploaded_at is None:
            raise Invalid(f"{field}: Nothing was uploaded to this file yet.", field=field)
    wanted = [found[each] for each in dict.fromkeys(ids)]
    if sum(file.size_bytes for file in wanted) > MAX_TOTAL_BYTES:
        raise Invalid("referenceImages: The images have more than 20 MiB in all.", field="referenceImages")
    return [ImageSnapshot(file_id=file.id, content_type=file.content_type) for file in wanted]


def _require_comparable_branches(branches: list[str], snapshot: Snapshot) -> None:
    if not branches:
        return
    if len(set(branches)) < max(2, len(branches)):
        raise Invalid("compareBranches: give two branches at least, each once.", field="compareBranches")
    if not any(step.role is StepRole.judge for step in snapshot.steps):
        message = "compareBranches: the workflow has no judge step that could compare them."
        raise Invalid(message, field="compareBranches")


def run_name_from_prompt(prompt: str) -> str:
    """A run's name when none is given: the first line of its prompt, at most 80 characters."""
    line = next((line.strip() for line in prompt.splitlines() if line.strip()), "Run")
    return line if len(line) <= 80 else line[:79].rstrip() + "…"


def slugify(name: str) -> str:
    """Lowercase words joined by hyphens, at most 40 characters, safe in a branch name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "run"
