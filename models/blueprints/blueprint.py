"""Blueprints: what the wire calls workflows.  A pipeline of persona steps that the user edits."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field as Bounded
from pydantic import model_validator
from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from kit.ids import prefixed
from kit.schemas import Body
from models.base import Json, JsonObject, Table, Timestamp, now
from models.blueprints.copy_names import copy_name
from models.blueprints.persona import StepRole
from models.projects.egress import EgressMode
from models.trash.trashable import Trashable, trash_indexes

VariableName = Annotated[str, Bounded(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class PipelineStep(Body):
    """One step; neighbouring steps that share a `loopId` form an Iteration Block."""

    role: StepRole
    """What the step does; it decides how its agent has to end: a checker or reviewer with a verdict, an
    evaluator or judge with a score."""
    persona_id: str | None = None
    """The persona that does it."""
    label: Annotated[str, Bounded(max_length=200)] | None = None
    """What people call it; its role when it is left out."""
    prompt: Annotated[str, Bounded(max_length=100_000)] | None = None
    """What the step is told besides the task."""
    loop_id: Annotated[str, Bounded(max_length=100)] | None = None
    """Neighbouring steps with the same one form an Iteration Block."""
    loop_max_iterations: Annotated[int, Bounded(ge=1, le=50)] | None = None
    """How often the block is repeated at most."""
    model: Annotated[str, Bounded(max_length=200)] | None = None
    """The model that does it, instead of the persona's."""
    max_turns: Annotated[int, Bounded(ge=1, le=1000)] | None = None
    """How many turns its agent may take."""
    pre_scripts: list[str] = Bounded(default_factory=list, max_length=20)
    """Scripts that run before it, by id or name."""
    post_scripts: list[str] = Bounded(default_factory=list, max_length=20)
    """Scripts that run after it, by id or name."""
    secrets: Annotated[list[VariableName], Bounded(max_length=200)] | None = None
    """The project's secret variables, by name, that its commands and scripts are given; an empty list: none.
    Left out, or null: all of them. Variables that are no secrets are given to every step. As soon as one step
    of the workflow has this field, `verify`, setup scripts and previews are given no secrets."""


class SandboxConfig(Body):
    """The sandboxes that the work is done in; everything has a default."""

    template_id: Annotated[str, Bounded(max_length=200)] = "base"
    """The template that sandboxes are made from."""
    memory_mb: Annotated[int, Bounded(ge=128, le=65_536)] | None = None
    """The memory in MiB that they have. E2B sizes sandboxes by their template: one that gives less is
    refused, one that gives more is as large as it is. The embedded sandboxes are limited to exactly this."""
    cpu_count: Annotated[int, Bounded(ge=1, le=64)] | None = None
    """The processors that they have, in the same way."""
    egress: EgressMode | None = None
    """How far they reach into the internet at most; the project's `egress` may be narrower, and is never
    widened. Left out: as far as the project's says."""
    timeout_ms: Annotated[int, Bounded(ge=60_000, le=86_400_000)] = 3_600_000
    """How much active time the work may take in all, in milliseconds: what model turns, tool calls and
    scripts are at work for. Waits for providers, money and people, outages and pauses are not counted. A
    sandbox is kept for as long after its last command, one of one's own for as long in all."""


class AutoFixCi(Body):
    """What happens when CI fails on the pull request.

    The agent is told the failing logs and fixes the cause on the same branch.  A failure of CI's machines is
    run again instead; the same failure after a fix stops and asks the members by a notification.
    """

    enabled: bool = False
    """Whether CI that failed is fixed."""
    max_attempts: Annotated[int, Bounded(ge=1, le=10)] = 2
    """How often the agent may try."""


class Verify(Body):
    """The gate of a blueprint: a command that has to pass on the very commit that is pushed.

    The platform runs it, not the agent, in a fresh sandbox made from that commit.  What fails it goes back to
    the agent; what still fails then becomes a draft that says so.
    """

    command: Annotated[str, Bounded(min_length=1, max_length=2_000, pattern=r"\S")]
    """Run by bash in the repository; it passes when it ends with exit code 0."""
    timeout_ms: Annotated[int, Bounded(ge=1_000, le=3_600_000)] = 1_800_000
    """How long it may take, in milliseconds."""
    max_attempts: Annotated[int, Bounded(ge=0, le=10)] = 2
    """How often the agent may try to fix what fails it; 0: never."""


class BlueprintConfig(Body):
    create_pr: bool = True
    """Whether a pull request is opened for what a run did."""
    draft_pr: bool = False
    """Whether that is a draft."""
    base_branch: Annotated[str, Bounded(max_length=250)] | None = None
    """The branch that runs work from; the repository's default branch when it is left out."""
    sandbox: SandboxConfig = SandboxConfig()
    """The sandboxes that runs work in."""
    max_cost_usd: Annotated[Decimal, Bounded(gt=0)] | None = None
    """What a run may cost at most, in US dollars."""
    auto_fix_ci: AutoFixCi = AutoFixCi()
    """What happens when CI fails on the pull request."""
    verify: Verify | None = None
    """The command that has to pass on what is pushed; nothing is run when it is left out."""
    delete_branch_on_merge: bool = False
    """Whether a run's branch is deleted once its pull request is merged."""


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
    def _require_contiguous_loops(self) -> "Pipeline":
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


class Blueprint(Trashable, table=True):
    __table_args__ = (
        *trash_indexes("blueprint"),
        Index("blueprint_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "blueprint_by_name",
            "name",
            postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops"},
            postgresql_where="deleted_at IS NULL",
        ),
    )
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

    def as_version(self, by: str | None) -> "BlueprintVersion":
        """The immutable copy of what the blueprint says now, and the member who changed it."""
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
            created_by=by,
        )

    def change(self, by: str, **fields: object) -> "BlueprintVersion":
        """Change the columns, which makes a new version.

        The caller holds the blueprint's row, hence no version twice.
        """
        self.sqlmodel_update({**fields, "version": self.version + 1, "updated_at": now()})
        return self.as_version(by)

    def revert(self, by: str, old: "BlueprintVersion") -> "BlueprintVersion":
        """Say again what an old version says, as a new version."""
        document = old.document
        return self.change(
            by,
            name=document["name"],
            description=document["description"],
            pipeline_steps=document["pipelineSteps"],
            config=document["config"],
            workflow_graph=document["workflowGraph"],
        )

    def duplicate(self, name: str | None) -> "Blueprint":
        """A new blueprint that says the same, under another name."""
        return Blueprint(
            project_id=self.project_id,
            name=name or copy_name(self.name),
            description=self.description,
            pipeline_steps=self.pipeline_steps,
            config=self.config,
            workflow_graph=self.workflow_graph,
        )


class BlueprintVersion(Table, table=True):
    __table_args__ = (UniqueConstraint("blueprint_id", "version"),)
    id: str = Field(default_factory=prefixed("wfv"), primary_key=True)
    blueprint_id: str = Field(foreign_key="blueprint.id", ondelete="CASCADE")
    version: int
    document: JsonObject = Field(sa_type=Json)
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    created_by: str | None = None
    """The member who made it; None for one that is older than this column."""
