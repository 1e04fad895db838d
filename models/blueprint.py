"""Blueprints: what the wire calls workflows.  A pipeline of persona steps that the user edits."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounded
from pydantic import model_validator
from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from kit.ids import prefixed
from kit.wire import Body
from models.base import Json, JsonObject, Record, Table, Timestamp, now
from models.persona import StepRole


class PipelineStep(Body):
    """One step; neighbouring steps that share a `loopId` form an Iteration Block."""

    role: StepRole
    persona_id: str | None = None
    label: Annotated[str, Bounded(max_length=200)] | None = None
    prompt: Annotated[str, Bounded(max_length=100_000)] | None = None
    loop_id: Annotated[str, Bounded(max_length=100)] | None = None
    loop_max_iterations: Annotated[int, Bounded(ge=1, le=50)] | None = None
    model: Annotated[str, Bounded(max_length=200)] | None = None
    max_turns: Annotated[int, Bounded(ge=1, le=1000)] | None = None
    pre_scripts: list[str] = Bounded(default_factory=list, max_length=20)
    post_scripts: list[str] = Bounded(default_factory=list, max_length=20)


class SandboxConfig(Body):
    template_id: Annotated[str, Bounded(max_length=200)] = "base"
    memory_mb: Annotated[int, Bounded(ge=128, le=65_536)] | None = None
    cpu_count: Annotated[int, Bounded(ge=1, le=64)] | None = None
    timeout_ms: Annotated[int, Bounded(ge=60_000, le=86_400_000)] = 3_600_000


class AutoFixCi(Body):
    enabled: bool = False
    max_attempts: Annotated[int, Bounded(ge=1, le=10)] = 2


class BlueprintConfig(Body):
    create_pr: bool = True
    draft_pr: bool = False
    base_branch: Annotated[str, Bounded(max_length=250)] | None = None
    sandbox: SandboxConfig = SandboxConfig()
    max_cost_usd: Annotated[Decimal, Bounded(gt=0)] | None = None
    auto_fix_ci: AutoFixCi = AutoFixCi()
    delete_branch_on_merge: bool = False


DEFAULT_LOOP_ITERATIONS = 3
DEFAULT_STEPS = [
    PipelineStep(role=StepRole.designer, label="Design", loop_id="build", loop_max_iterations=3),
    PipelineStep(role=StepRole.checker, label="Check", loop_id="build", loop_max_iterations=3),
]
"""What a workflow created by its name alone does: design and check until it passes, at most three times."""


class Pipeline(Body):
    """The steps of a blueprint as one value, with the rules that hold between them."""

    steps: Annotated[list[PipelineStep], Bounded(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _loops_are_whole(self) -> "Pipeline":
        seen: set[str] = set()
        previous: str | None = None
        for index, step in enumerate(self.steps):
            if step.loop_id is not None and step.loop_id != previous:
                if step.loop_id in seen:
                    raise ValueError(f"step {index}: the steps of loop '{step.loop_id}' must be neighbours")
                seen.add(step.loop_id)
            previous = step.loop_id
        for loop in seen:
            if not any(step.role.gives_verdict for step in self.steps if step.loop_id == loop):
                raise ValueError(
                    f"loop '{loop}' needs a checker or reviewer step, which decides when it ends"
                )
        return self


class Blueprint(Record, table=True):
    id: str = Field(default_factory=prefixed("wf"), primary_key=True)
    updated_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    name: str
    description: str | None = None
    version: int = 1
    pipeline_steps: list[JsonObject] = Field(sa_type=Json)
    config: JsonObject = Field(sa_type=Json)
    workflow_graph: JsonObject | None = Field(default=None, sa_type=Json)

    @property
    def steps(self) -> list[PipelineStep]:
        return [PipelineStep.model_validate(step) for step in self.pipeline_steps]

    def as_version(self) -> "BlueprintVersion":
        """The immutable copy of what the blueprint says now."""
        return BlueprintVersion(
            blueprint_id=self.id,
            version=self.version,
            document={
                "name": self.name,
                "description": self.description,
                "pipelineSteps": self.pipeline_steps,
                "config": self.config,
                "workflowGraph": self.workflow_graph,
            },
        )


class BlueprintVersion(Table, table=True):
    __table_args__ = (UniqueConstraint("blueprint_id", "version"),)
    id: str = Field(default_factory=prefixed("wfv"), primary_key=True)
    blueprint_id: str = Field(foreign_key="blueprint.id", ondelete="CASCADE")
    version: int
    document: JsonObject = Field(sa_type=Json)
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
