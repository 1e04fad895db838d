"""What a job uses, frozen at its start: later edits do not touch a job in flight."""

from collections.abc import Iterable
from decimal import Decimal

from pydantic import BaseModel
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from models.agent.session_kind import SessionKind
from models.assets.asset import ScriptLanguage
from models.base import Json, JsonObject, Table
from models.blueprints.blueprint import DEFAULT_LOOP_ITERATIONS, BlueprintConfig, SandboxConfig
from models.blueprints.persona import StepRole, ThinkingEffort
from models.budgets.budget import open_budget
from models.budgets.prices import require_prices
from models.jobs.job import Job
from models.learnings.version import ActiveLearnings, active_learnings
from models.projects.allowed_repository import require_repository
from models.projects.project import Project
from models.runs.continuation import Continuation
from models.runs.uploaded_file import use_files


class TextAsset(BaseModel):
    name: str
    content: str


class ImageSnapshot(BaseModel):
    """An uploaded image; its bytes stay where they are stored."""

    file_id: str
    content_type: str


class SkillSnapshot(BaseModel):
    name: str
    files: list[TextAsset]


class ScriptSnapshot(TextAsset):
    language: ScriptLanguage


class StepSnapshot(BaseModel):
    """One step of the pipeline with its persona as both were at the start."""

    index: int
    role: StepRole
    label: str
    persona_id: str | None = None
    model: str
    thinking_effort: ThinkingEffort
    instructions: str
    context: TextAsset | None = None
    prompt: str | None = None
    loop_id: str | None = None
    loop_max_iterations: int = 1
    max_turns: int
    skills: list[str] | None = None
    """Those of the snapshot's skills that this step's agent is told of; None in older ones: all."""
    commands: list[str] | None = None
    """The same of its commands."""
    pre_scripts: list[ScriptSnapshot] = []
    post_scripts: list[ScriptSnapshot] = []
    secrets: list[str] | None = None
    """The names of the secret variables that it is given; None: all."""


class Snapshot(BaseModel):
    blueprint_version: int | None = None
    """None where no blueprint says what to do."""
    prompt: str
    steps: list[StepSnapshot]
    config: BlueprintConfig
    base_branch: str | None
    creates_base_branch: bool = False
    """Whether a base branch that does not exist is made from the default branch, as chains promise."""
    branch_name: str
    compare_branches: list[str] = []
    """Branches that the judge steps compare."""
    claude_md: str | None
    sandbox_system_prompt: str | None
    continues_branch: bool = False
    """Work on the branch as the repository has it, if it has one of this name."""
    images: list[ImageSnapshot] = []
    """Shown to every agent with its task."""
    skills: list[SkillSnapshot] = []
    commands: list[TextAsset] = []
    """Those that its agents have, and those that its prompts name."""
    command_versions: dict[str, str] = {}
    """By name, the version of each of the project's commands that was active at the start."""
    setup_scripts: list[ScriptSnapshot] = []
    """Run in every sandbox of the job as soon as the repository is there."""
    continues: Continuation | None = None
    """The ended run whose work this one goes on with; None: it begins from scratch."""
    learnings: ActiveLearnings | None = None
    """None only until the job is added: `add_job` freezes the active ones."""
    git_name: str
    git_email: str

    @property
    def job_secrets(self) -> list[str] | None:
        """The names of the secret variables for what belongs to no step: setup scripts, `verify`, previews.

        None, which is all, while no step names its own; none as soon as one does: what a step is kept from
        must not reach its code by a way around it.
        """
        return [] if any(step.secrets is not None for step in self.steps) else None

    def session_kind(self, step: StepSnapshot) -> SessionKind:
        """What the session of a step has to end with."""
        if step.role is StepRole.judge and self.compare_branches:
            return SessionKind.judge
        return step.role.kind

    @property
    def blocks(self) -> list[list[StepSnapshot]]:
        """Neighbouring steps of one loop together; a step outside any loop is a block of its own."""
        blocks: list[list[StepSnapshot]] = []
        for step in self.steps:
            if blocks and step.loop_id is not None and blocks[-1][0].loop_id == step.loop_id:
                blocks[-1].append(step)
            else:
                blocks.append([step])
        return blocks


def max_iterations(block: list[StepSnapshot]) -> int:
    """How often a block may run at most."""
    if block[0].loop_id is None:
        return 1
    return max([step.loop_max_iterations for step in block], default=DEFAULT_LOOP_ITERATIONS)


class JobSnapshot(Table, table=True):
    """The snapshot beside the job, so that lists stay light."""

    job_id: str = Field(primary_key=True)
    document: JsonObject = Field(sa_type=Json)


def agents_snapshot(
    project: Project,
    agents: list[StepSnapshot],
    prompt: str,
    sandbox: SandboxConfig,
    *,
    skills: Iterable[SkillSnapshot] = (),
    commands: Iterable[TextAsset] = (),
    setup_scripts: Iterable[ScriptSnapshot] = (),
) -> Snapshot:
    """What agents use that read the project's repository one after the other and change nothing."""
    return Snapshot(
        prompt=prompt,
        steps=agents,
        config=BlueprintConfig(create_pr=False, sandbox=sandbox),
        base_branch=None,
        branch_name="codecourier/reading",
        claude_md=project.claude_md,
        sandbox_system_prompt=project.sandbox_system_prompt,
        skills=list(skills),
        commands=list(commands),
        setup_scripts=list(setup_scripts),
        git_name=project.git_commit_name,
        git_email=project.git_commit_email,
    )


async def add_job(
    session: AsyncSession,
    job: Job,
    snapshot: Snapshot,
    *,
    cap_usd: Decimal | None = None,
    field: str | None = None,
) -> None:
    """The job's row, its snapshot and its budget; Invalid where a cap applies to a model without a price.

    RepositoryNotAllowed for a repository that is not the project's to work on.

    field: of the request, that the refusal names.
    """
    await require_repository(session, job.project_id, job.repository_slug)
    models = [(step.label, step.model) for step in snapshot.steps]
    await require_prices(session, job.project_id, models, cap_usd, field)
    await open_budget(session, job.project_id, job.id, cap_usd)
    if snapshot.learnings is None:  # those that are active now; a run that is restarted has its own
        active = await active_learnings(session, job.project_id)
        snapshot = snapshot.model_copy(update={"learnings": active})
    session.add(job)
    await session.flush()
    session.add(JobSnapshot(job_id=job.id, document=snapshot.model_dump(mode="json")))
    if snapshot.images:
        await use_files(session, job.id, [image.file_id for image in snapshot.images])
