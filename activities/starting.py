"""How workflows are started: by the API after its commit, and by the sweep for what was left behind."""

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from kit.temporal import KIND, PROJECT_ID, REPOSITORY, RUN_ID, STATUS, TASK_QUEUE
from models.run import Run

RUN_WORKFLOW = "Run"


class RunInput(BaseModel):
    """What the workflow is told; everything else it reads by the id."""

    run_id: str
    project_id: str
    number: int
    name: str
    repository: str

    @classmethod
    def of(cls, run: Run) -> "RunInput":
        return cls(
            run_id=run.id, project_id=run.project_id, number=run.run_number, name=run.name,
            repository=run.repository_slug,
        )  # fmt: skip


async def start_run(client: Client, input: RunInput) -> None:
    """Start the run's workflow; see `start_once`."""
    await start_once(
        client, RUN_WORKFLOW, input, id=input.run_id, project_id=input.project_id,
        attributes=attributes_of(input), summary=summary_of(input),
    )  # fmt: skip


async def start_once(
    client: Client, name: str, input: BaseModel, *, id: str, project_id: str,
    attributes: TypedSearchAttributes, summary: str,
) -> None:  # fmt: skip
    """Start a workflow; one that was started before under this id, even one that has ended, is left alone.

    Raises RPCError when the engine cannot be reached.
    """
    try:
        await client.start_workflow(
            name,
            input,
            id=id,
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=attributes,
            static_summary=summary,
            priority=Priority(fairness_key=project_id),
        )
    except WorkflowAlreadyStartedError:
        return


def attributes_of(input: RunInput) -> TypedSearchAttributes:
    """By which operators find the run."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(PROJECT_ID, input.project_id),
            SearchAttributePair(RUN_ID, input.run_id),
            SearchAttributePair(KIND, "run"),
            SearchAttributePair(STATUS, "running"),
            SearchAttributePair(REPOSITORY, input.repository),
        ]
    )


def summary_of(input: RunInput) -> str:
    return f"Run {input.number} on {input.repository}: {input.name}"
