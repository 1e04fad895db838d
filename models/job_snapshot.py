"""What a job uses, frozen at its start: later edits do not touch a job in flight."""

from pydantic import BaseModel
from sqlmodel import Field

from models.asset import ScriptLanguage
from models.base import Json, JsonObject, Table
from models.blueprint import DEFAULT_LOOP_ITERATIONS, BlueprintConfig
from models.persona import StepRole, ThinkingEffort


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
