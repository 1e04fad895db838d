"""Workflows as a list shows them: the document, and what a table says of it."""

from kit.schemas import UtcTimestamp, Wire
from models.blueprints.blueprint import Blueprint
from models.blueprints.blueprint_schemas import EXAMPLE, WorkflowRead
from models.json_view import JsonView, example, name_filter_sql, timestamp_sql


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
