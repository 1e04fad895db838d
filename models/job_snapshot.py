"""What a job uses, frozen at its start: later edits do not touch a job in flight."""

from pydantic import BaseModel
from sqlmodel import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from models.asset import ScriptLanguage
from models.base import Json, JsonObject, Table
from models.blueprint import DEFAULT_LOOP_ITERATIONS, BlueprintConfig, SandboxConfig
from models.job import Job
from models.persona import StepRole, ThinkingEffort
from models.project import Project


class TextAsset(BaseModel):
    name: str
    content: str


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
    pre_scripts: list[ScriptSnapshot] = []
    post_scripts: list[ScriptSnapshot] = []


class Snapshot(BaseModel):
    blueprint_version: int | None = None
    """None where no blueprint says what to do."""
    prompt: str
    steps: list[StepSnapshot]
    config: BlueprintConfig
    base_branch: str | None
    branch_name: str
    claude_md: str | None
    sandbox_system_prompt: str | None
    skills: list[SkillSnapshot] = []
    commands: list[TextAsset] = []
    git_name: str
    git_email: str

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


def iterations(block: list[StepSnapshot]) -> int:
    """How often a block may run at most."""
    if block[0].loop_id is None:
        return 1
    return max([step.loop_max_iterations for step in block], default=DEFAULT_LOOP_ITERATIONS)


class JobSnapshot(Table, table=True):
    """The snapshot beside the job, so that lists stay light."""

    job_id: str = Field(primary_key=True)
    document: JsonObject = Field(sa_type=Json)


def snapshot_for(
    project: Project, agents: list[StepSnapshot], prompt: str, sandbox: SandboxConfig
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
        git_name=project.git_commit_name,
        git_email=project.git_commit_email,
    )


async def add_job(session: AsyncSession, job: Job, snapshot: Snapshot) -> None:
    """The job's row and its snapshot."""
    session.add(job)
    await session.flush()
    session.add(JobSnapshot(job_id=job.id, document=snapshot.model_dump(mode="json")))
