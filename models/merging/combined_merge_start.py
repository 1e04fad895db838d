"""Starting the merge of several pull requests into one: its row, its snapshot and its first event."""

from typing import Annotated

from pydantic import Field as Bounded
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Body, CapUsd
from models.blueprints.blueprint import SandboxConfig
from models.blueprints.persona import StepRole, ThinkingEffort
from models.event import EventType, append_event
from models.jobs.snapshot import StepSnapshot, add_job, agents_snapshot
from models.jobs.snapshot_builder import DEFAULT_MAX_TURNS, SnapshotBuilder
from models.merging.merge_job import MergeJob, MergeKind
from models.projects.agent_config import AgentConfig, choose_sandbox
from models.projects.project import Project

CONFLICT_INSTRUCTIONS = (
    "A merge of two lines of work has stopped at conflicts. Solve them so that what both sides wanted holds: "
    "read their descriptions and the code around every conflict, and keep neither side only because it is "
    "easier. Change nothing that the merge does not need. Leave no conflict marker in any file, run the "
    "tests, and do not commit: that is done for you. End with `finish` and say how you solved each."
)


class MergeConfig(Body):
    """How the merge is done; everything has a default."""

    check_command: Annotated[str, Bounded(min_length=1, max_length=2_000)] | None = None
    """Run in the repository after every pull request that is merged; what breaks it is left out."""
    draft_pr: bool = False
    """Whether the pull request that holds the result is a draft."""
    model: Annotated[str, Bounded(min_length=1, max_length=200)] | None = None
    """The model that solves conflicts; the one of the project's `mergingConfig`, or else the server's
    default, when it is left out."""
    max_cost_usd: CapUsd | None = None
    """What solving conflicts may cost, in US dollars; no limit of its own when it is left out."""
    sandbox: SandboxConfig = SandboxConfig()
    """The sandbox that the merge is done in."""


class PullRequestInput(Body):
    """A pull request on GitHub; its address and its number have to agree."""

    pr_url: Annotated[str, Bounded(max_length=500)]
    """Its address, `https://github.com/owner/name/pull/number`."""
    pr_number: Annotated[int, Bounded(ge=1, le=2**31 - 1)]
    """Its number."""


class MergeStart(Body):
    """Pull requests of one repository, merged in the order in which they are given."""

    pull_requests: Annotated[list[PullRequestInput], Bounded(min_length=1, max_length=50)]
    """The pull requests, 1 to 50 of one repository, each once; they are merged in this order."""
    base_branch: Annotated[str, Bounded(min_length=1, max_length=250)] | None = None
    """The branch that the result shall go to; the base of the first pull request when it is left out."""
    config: MergeConfig = MergeConfig()
    """How the merge is done."""


async def create_combined_merge(
    session: AsyncSession,
    project: Project,
    member_id: str,
    request: MergeStart,
    *,
    repository_slug: str,
    repository_url: str,
    default_model: str,
) -> MergeJob:
    """A pending merge; its integration branch starts at the base branch."""
    config = request.config
    pulls = [each.model_dump(by_alias=True) for each in request.pull_requests]
    job = MergeJob(
        project_id=project.id,
        kind=MergeKind.integration,
        name=_merge_name([each.pr_number for each in request.pull_requests]),
        repository_slug=repository_slug,
        github_repo_url=repository_url,
        base_branch=request.base_branch,
        pull_requests=pulls,
        requested_by=member_id,
        config=config.model_dump(mode="json"),
    )
    job.branch_name = f"codecourier/merge-{job.id[-8:]}"
    configured = AgentConfig.model_validate(project.merging_config)
    shelf = SnapshotBuilder(session, project)
    equipment = await shelf.add_agent("The project's mergingConfig", configured)
    agent = StepSnapshot(
        index=0,
        role=StepRole.custom,
        label="Merge",
        model=config.model or configured.model or default_model,
        thinking_effort=configured.thinking_effort or ThinkingEffort.high,
        instructions=CONFLICT_INSTRUCTIONS,
        context=equipment.context,
        skills=equipment.skills,
        commands=equipment.commands,
        max_turns=DEFAULT_MAX_TURNS,
    )
    snapshot = agents_snapshot(
        project,
        [agent],
        job.name,
        choose_sandbox(config.sandbox, configured),
        skills=shelf.skills.values(),
        commands=shelf.commands.values(),
        setup_scripts=equipment.scripts,
    )
    field = "config.maxCostUsd" if config.max_cost_usd else "config.model"
    told = {"base_branch": request.base_branch, "branch_name": job.branch_name}
    await add_job(session, job, snapshot.model_copy(update=told), cap_usd=config.max_cost_usd, field=field)
    append_event(session, job, EventType.merge_created, {"pullRequests": pulls, "requestedBy": member_id})
    return job


def _merge_name(numbers: list[int]) -> str:
    """`Merge #1, #2 and #3`; at most ten of them by number."""
    shown = [f"#{number}" for number in numbers[:10]]
    if len(numbers) > len(shown):
        shown.append(f"{len(numbers) - len(shown)} more")
    return f"Merge {' and '.join([', '.join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)}"
