"""Blueprints on the wire, where they are called workflows: whole, and as a list shows them."""

from typing import Annotated

from pydantic import AliasChoices, Field
from pydantic.config import JsonDict

from kit.schemas import Body, CapUsd, Read, Title, UtcTimestamp, Wire
from models.base import JsonObject
from models.blueprints.blueprint import DEFAULT_STEPS, Blueprint, BlueprintConfig, Pipeline, PipelineStep
from models.json_view import JsonView, example, name_filter_sql, timestamp_sql, unset_field

WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
WorkflowId = Annotated[str, Field(validation_alias=AliasChoices("workflowId", "id"))]
Steps = Annotated[list[PipelineStep], Field(min_length=1, max_length=50)]
_STEP: JsonDict = {
    "role": "designer",
    "personaId": None,
    "label": "Design",
    "prompt": None,
    "loopId": None,
    "loopMaxIterations": None,
    "model": None,
    "maxTurns": None,
    "preScripts": [],
    "postScripts": [],
    "secrets": None,
}
_CONFIG: JsonDict = {
    "createPr": True,
    "draftPr": False,
    "baseBranch": None,
    "maxCostUsd": None,
    "sandbox": {
        "templateId": "base",
        "memoryMb": None,
        "cpuCount": None,
        "egress": None,
        "timeoutMs": 3_600_000,
    },
    "autoFixCi": {"enabled": False, "maxAttempts": 2},
    "verify": {"command": "make test", "timeoutMs": 1_800_000, "maxAttempts": 2},
    "deleteBranchOnMerge": False,
}
DOCUMENT: JsonDict = {
    "name": "Build and check",
    "description": None,
    "pipelineSteps": [_STEP],
    "config": _CONFIG,
    "workflowGraph": None,
}
EXAMPLE: JsonDict = {
    "id": WORKFLOW,
    "_id": WORKFLOW,
    **DOCUMENT,
    "version": 1,
    "createdAt": "2026-01-15T10:00:00.000Z",
    "updatedAt": "2026-01-15T10:00:00.000Z",
}


class WorkflowConfig(BlueprintConfig):
    """How runs of a workflow are done."""

    max_cost_usd: CapUsd | None = None
    """What a run may cost at most, in US dollars."""


class WorkflowRead(Read):
    """A pipeline of steps that the user edits; every change makes a new version."""

    model_config = example(**EXAMPLE)
    name: str
    """What people call it."""
    description: str | None
    """What it is for."""
    version: int
    """The number of the newest version, which is what it says now."""
    pipeline_steps: list[PipelineStep]
    """The steps of a run, in the order of their work."""
    config: WorkflowConfig
    """How its runs are done."""
    workflow_graph: JsonObject | None
    """Whatever an editor keeps about how it draws the workflow."""
    created_at: UtcTimestamp
    """When it was created."""
    updated_at: UtcTimestamp
    """When it was changed last."""


class WorkflowCreate(Body):
    """A workflow created by its name alone designs and checks until the check passes, at most three times."""

    model_config = example(name="Build and check", pipelineSteps=[{"role": "designer", "label": "Design"}])
    name: Title
    """What people call it."""
    description: Annotated[str, Field(max_length=2000)] | None = None
    """What it is for."""
    pipeline_steps: Steps = DEFAULT_STEPS
    """The steps of a run, in the order of their work."""
    config: WorkflowConfig = WorkflowConfig()
    """How its runs are done; what is left out has its default."""
    workflow_graph: JsonObject | None = None
    """Whatever an editor keeps about how it draws the workflow."""


class WorkflowUpdate(Body):
    """Only the given fields change; `null` clears those that may be empty."""

    model_config = example(workflowId=WORKFLOW, description="Designs, then checks.", config={"draftPr": True})
    workflow_id: WorkflowId
    """The workflow; `id` is understood, too."""
    name: Title = unset_field()
    """What people call it."""
    description: Annotated[str, Field(max_length=2000)] | None = unset_field()
    """What it is for."""
    pipeline_steps: Steps = unset_field()
    """The steps of a run, in the order of their work."""
    config: WorkflowConfig = unset_field()
    """How its runs are done; only the given fields change, also within its objects."""
    workflow_graph: JsonObject | None = unset_field()
    """Whatever an editor keeps about how it draws the workflow."""


DEFAULT_CONFIG: JsonObject = WorkflowConfig().model_dump(mode="json", by_alias=True)
WORKFLOWS = JsonView(WorkflowRead, Blueprint, "Workflow")


def blueprint_columns(body: WorkflowCreate | WorkflowUpdate, config: JsonObject) -> dict[str, object]:
    """The given fields as the blueprint's columns hold them; the given settings are laid over `config`.

    Raises ValueError when the steps of a loop are no whole.
    """
    given = body.model_dump(include={"name", "description", "workflow_graph"}, exclude_unset=True)
    if "pipeline_steps" in body.model_fields_set or isinstance(body, WorkflowCreate):
        steps = Pipeline(steps=body.pipeline_steps).steps
        given["pipeline_steps"] = [step.model_dump(mode="json", by_alias=True) for step in steps]
    if "config" in body.model_fields_set:
        config = _merge_objects(
            config, body.config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        )
    return given | {"config": config}


def _merge_objects(old: JsonObject, new: JsonObject) -> JsonObject:
    """`new` laid over `old`, objects within them too."""
    result = dict(old)
    for name, value in new.items():
        before = old.get(name)
        result[name] = (
            _merge_objects(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
        )
    return result


class CliUse(Wire):
    """How many steps of a workflow are done by one tool with one model."""

    cli_id: str
    """The tool that does the steps."""
    model: str | None
    """The model of the steps or of their personas; null for the server's default."""
    steps: int
    """How many steps there are."""


class WorkflowSummary(WorkflowRead):
    """A workflow with what a table of workflows says of it."""

    model_config = example(
        **EXAMPLE,
        stepCount=1,
        cliSummary=[{"cliId": "claude", "model": None, "steps": 1}],
        lastRunAt="2026-01-15T10:04:00.000Z",
    )
    step_count: int
    """How many steps its pipeline has."""
    cli_summary: list[CliUse]
    """Which tools and models do its steps as it is now, those with the most steps first."""
    last_run_at: UtcTimestamp | None
    """When its newest run was started; null if there is none."""


_CLI_SUMMARY = """
    (SELECT coalesce(json_agg(json_build_object('cliId', cli_id, 'model', model, 'steps', steps)
            ORDER BY steps DESC, cli_id, model), '[]')
        FROM (
            SELECT coalesce(worker.cli_id, 'claude') AS cli_id,
                coalesce(step ->> 'model', worker.model) AS model, count(*) AS steps
            FROM jsonb_array_elements(blueprint.pipeline_steps) AS step
            LEFT JOIN LATERAL (
                SELECT cli_id, model FROM persona WHERE persona.id = step ->> 'personaId'
                    AND persona.project_id = blueprint.project_id AND persona.deleted_at IS NULL
                LIMIT 1) AS worker ON true
            GROUP BY 1, 2) AS used)
"""
_LAST_RUN = """
    (SELECT {moment} FROM run WHERE run.blueprint_id = blueprint.id AND run.deleted_at IS NULL
        ORDER BY run.created_at DESC LIMIT 1)
"""
WORKFLOW_SUMMARIES = JsonView(
    WorkflowSummary,
    Blueprint,
    "Workflow",
    shown={
        "step_count": "jsonb_array_length(blueprint.pipeline_steps)",
        "cli_summary": _CLI_SUMMARY,
        "last_run_at": _LAST_RUN.format(moment=timestamp_sql("run.created_at")),
    },
    where={"search": name_filter_sql("blueprint")},
)
