"""Blueprints on the wire, where they are called workflows."""

from typing import Annotated

from pydantic import AliasChoices, Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Money, Read
from models.base import JsonObject
from models.blueprint import DEFAULT_STEPS, Blueprint, BlueprintConfig, Pipeline, PipelineStep
from models.view import View, example, unchanged

WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
Name = Annotated[str, Field(min_length=1, max_length=200)]
Steps = Annotated[list[PipelineStep], Field(min_length=1, max_length=50)]
_STEP: JsonDict = {
    "role": "designer", "personaId": None, "label": "Design", "prompt": None, "loopId": None,
    "loopMaxIterations": None, "model": None, "maxTurns": None, "preScripts": [], "postScripts": [],
}  # fmt: skip
_CONFIG: JsonDict = {
    "createPr": True, "draftPr": False, "baseBranch": None, "maxCostUsd": None,
    "sandbox": {"templateId": "base", "memoryMb": None, "cpuCount": None, "timeoutMs": 3_600_000},
    "autoFixCi": {"enabled": False, "maxAttempts": 2}, "deleteBranchOnMerge": False,
}  # fmt: skip


class WorkflowConfig(BlueprintConfig):
    """How runs of a workflow are done."""

    max_cost_usd: Annotated[Money, Field(gt=0)] | None = None


class WorkflowRead(Read):
    """A pipeline of steps that the user edits; every change makes a new version."""

    model_config = example(
        id=WORKFLOW, _id=WORKFLOW, name="Build and check", description=None, version=1, pipelineSteps=[_STEP],
        config=_CONFIG, workflowGraph=None, createdAt="2026-01-15T10:00:00.000Z",
        updatedAt="2026-01-15T10:00:00.000Z",
    )  # fmt: skip
    name: str
    description: str | None
    version: int
    pipeline_steps: list[PipelineStep]
    config: WorkflowConfig
    workflow_graph: JsonObject | None
    created_at: Moment
    updated_at: Moment


class WorkflowCreate(Body):
    """A workflow created by its name alone designs and checks until the check passes, at most three times."""

    model_config = example(name="Build and check", pipelineSteps=[{"role": "designer", "label": "Design"}])
    name: Name
    description: Annotated[str, Field(max_length=2000)] | None = None
    pipeline_steps: Steps = DEFAULT_STEPS
    config: WorkflowConfig = WorkflowConfig()
    workflow_graph: JsonObject | None = None


class WorkflowUpdate(Body):
    """Only the given fields change; `null` clears those that may be empty."""

    model_config = example(workflowId=WORKFLOW, description="Designs, then checks.", config={"draftPr": True})
    workflow_id: Annotated[str, Field(validation_alias=AliasChoices("workflowId", "id"))]
    name: Name = unchanged()
    description: Annotated[str, Field(max_length=2000)] | None = unchanged()
    pipeline_steps: Steps = unchanged()
    config: WorkflowConfig = unchanged()
    workflow_graph: JsonObject | None = unchanged()


DEFAULT_CONFIG: JsonObject = WorkflowConfig().model_dump(mode="json", by_alias=True)
WORKFLOWS = View(WorkflowRead, Blueprint, "Workflow")


def documents(body: WorkflowCreate | WorkflowUpdate, config: JsonObject) -> dict[str, object]:
    """The given fields as the blueprint's columns hold them; the given settings are laid over `config`.

    Raises ValueError when the steps of a loop are no whole.
    """
    given = body.model_dump(include={"name", "description", "workflow_graph"}, exclude_unset=True)
    if "pipeline_steps" in body.model_fields_set or isinstance(body, WorkflowCreate):
        steps = Pipeline(steps=body.pipeline_steps).steps
        given["pipeline_steps"] = [step.model_dump(mode="json", by_alias=True) for step in steps]
    if "config" in body.model_fields_set:
        config = _over(config, body.config.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return given | {"config": config}


def _over(old: JsonObject, new: JsonObject) -> JsonObject:
    """`new` laid over `old`, objects within them too."""
    result = dict(old)
    for name, value in new.items():
        before = old.get(name)
        result[name] = _over(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result
