"""How workflows are started: by the API after its commit, and by the reconciler for what was left behind."""

from typing import NamedTuple

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import Priority as TemporalPriority
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from kit.temporal import KIND, PROJECT_ID, REPOSITORY, RUN_ID, STATUS, TASK_QUEUE
from models.jobs.job_registry import RUN_WORKFLOW
from models.runs.run import Run, RunPriority


class WorkflowStart(NamedTuple):
    """A workflow to be started."""

    workflow: str
    """Its type."""
    input: BaseModel
    id: str
    project_id: str
    repository: str
    kind: str
    """By which operators find it."""
    summary: str
    run_id: str | None = None
    priority: int = RunPriority.normal
    """Among what the project has started."""

    @property
    def temporal_priority(self) -> TemporalPriority:
        """Projects take turns; runs below normal priority come after all others.

        Higher priorities count in the project's own queue only: Temporal orders them across projects, so that
        one project could starve the rest.
        """
        return TemporalPriority(
            priority_key=max(self.priority, RunPriority.normal), fairness_key=self.project_id
        )

    @property
    def attributes(self) -> TypedSearchAttributes:
        pairs = [
            SearchAttributePair(PROJECT_ID, self.project_id),
            SearchAttributePair(KIND, self.kind),
            SearchAttributePair(STATUS, "running"),
            SearchAttributePair(REPOSITORY, self.repository),
        ]
        if self.run_id is not None:
            pairs.append(SearchAttributePair(RUN_ID, self.run_id))
        return TypedSearchAttributes(pairs)


async def start_workflow(client: Client, start: WorkflowStart) -> None:
    """Start a workflow; one that was started before under this id, even one that has ended, is left alone.

    Raises RPCError when Temporal cannot be reached, or refuses it.
    """
    try:
        await client.start_workflow(
            start.workflow,
            start.input,
            id=start.id,
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=start.attributes,
            static_summary=start.summary,
            priority=start.temporal_priority,
        )
    except WorkflowAlreadyStartedError:
        return


class RunInput(BaseModel):
    """What the workflow is told; everything else it reads by the id."""

    run_id: str
    project_id: str
    number: int
    name: str
    repository: str
    priority: int = RunPriority.normal

    @classmethod
    def of(cls, run: Run) -> "RunInput":
        return cls(
            run_id=run.id,
            project_id=run.project_id,
            number=run.run_number,
            name=run.name,
            repository=run.repository_slug,
            priority=run.priority,
        )


def build_run_start(input: RunInput) -> WorkflowStart:
    return WorkflowStart(
        RUN_WORKFLOW,
        input,
        input.run_id,
        input.project_id,
        input.repository,
        kind="run",
        summary=f"Run {input.number} on {input.repository}: {input.name}",
        run_id=input.run_id,
        priority=input.priority,
    )
