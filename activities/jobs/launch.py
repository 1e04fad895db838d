"""The start of workflows: the input of each kind, and the workflow of a row of whatever kind, started.

The API starts it after its commit; the reconciler starts what was left behind.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final, NamedTuple, assert_never

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
from temporalio.service import RPCError

from kit.logs import logger
from kit.temporal import KIND, PROJECT_ID, REPOSITORY, RUN_ID, STATUS, TASK_QUEUE
from models import (
    AnsweringSession,
    IssueSession,
    LearningExtraction,
    MergeJob,
    Run,
    SandboxJob,
    SprintChain,
    WorkChain,
)
from models.chains.chain import Chain
from models.jobs.job import Job
from models.jobs.job_registry import (
    COMBINED_MERGE_WORKFLOW,
    JOB_KINDS,
    PULL_REQUEST_MERGE_WORKFLOW,
    RUN_WORKFLOW,
    JobKind,
    WorkflowRow,
)
from models.merging.merge_job import MergeKind
from models.runs.run import RunPriority


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
    def search_attributes(self) -> TypedSearchAttributes:
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
            search_attributes=start.search_attributes,
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


class JobInput(BaseModel):
    """What the workflow is told; everything else it reads by the id."""

    job_id: str
    project_id: str
    name: str
    repository: str

    @classmethod
    def of(cls, job: Job) -> "JobInput":
        return cls(job_id=job.id, project_id=job.project_id, name=job.name, repository=job.repository_slug)


def build_job_start(workflow: str, kind: JobKind, input: JobInput) -> WorkflowStart:
    return WorkflowStart(
        workflow,
        input,
        input.job_id,
        input.project_id,
        input.repository,
        kind=kind.label,
        summary=f"{kind.noun.capitalize()} on {input.repository}: {input.name}",
    )


class ChainInput(BaseModel):
    """What the workflow is told, and where it is when it continues as a new one."""

    chain_id: str
    engine_id: str
    project_id: str
    repository: str
    paused: bool = False
    index: int | None = None
    count: int = 0

    @classmethod
    def of(cls, chain: Chain) -> "ChainInput":
        return cls(
            chain_id=chain.id,
            engine_id=chain.temporal_workflow_id,
            project_id=chain.project_id,
            repository=chain.repository_slug,
        )


def build_chain_start(kind: JobKind, input: ChainInput) -> WorkflowStart:
    """Of one attempt: each is a workflow of its own."""
    [workflow] = kind.workflows
    return WorkflowStart(
        workflow,
        input,
        input.engine_id,
        input.project_id,
        input.repository,
        kind=kind.label,
        summary=f"{kind.noun.capitalize()} on {input.repository}",
    )


FIRST_POLL_INTERVAL: Final = timedelta(seconds=2)


class MergeInput(BaseModel):
    """What the workflow is told, and where it is when it continues as a new one."""

    job_id: str
    run_id: str
    project_id: str
    repository: str
    number: int
    began: datetime | None = None
    head_sha: str | None = None
    head_since: datetime | None = None
    """Since when the pull request is known to be at `head_sha`."""
    pause: timedelta = FIRST_POLL_INTERVAL
    has_webhooks: bool = False
    """GitHub has told of it before."""

    @classmethod
    def of(cls, job: MergeJob) -> "MergeInput":
        assert job.run_id, "a merge of one pull request is that of a run"
        number = job.pull_requests[0]["prNumber"]
        assert isinstance(number, int)
        return cls(
            job_id=job.id,
            run_id=job.run_id,
            project_id=job.project_id,
            repository=job.repository_slug,
            number=number,
        )


def build_merge_start(input: MergeInput) -> WorkflowStart:
    return WorkflowStart(
        PULL_REQUEST_MERGE_WORKFLOW,
        input,
        input.job_id,
        input.project_id,
        input.repository,
        kind="pull-request-merge",
        summary=f"Merge of pull request {input.number} on {input.repository}",
        run_id=input.run_id,
    )


START_TIMEOUT_SECONDS: Final = 3.0
"""How long whoever has something else to do waits for Temporal to take a job."""

log = logger(__name__)


async def start_row(client: Client, row: WorkflowRow) -> None:
    """Start the workflow of a pending row; one that was started before is left alone.

    Raises RPCError when Temporal cannot be reached, or refuses it.
    """
    await start_workflow(client, _build_start(row))


async def try_start_row(client: Client, row: WorkflowRow) -> None:
    """The same, but without fail: what Temporal does not take at once is left pending for the reconciler."""
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            await start_row(client, row)
    except (RPCError, TimeoutError) as error:
        log.warning("job.start_deferred", job_id=row.id, reason=type(error).__name__)


def _build_start(row: WorkflowRow) -> WorkflowStart:
    """A kind that is missing here is an error of mypy's."""
    kind = JOB_KINDS[row.id.partition("_")[0]]
    match row:
        case Run():
            return build_run_start(RunInput.of(row))
        case SprintChain() | WorkChain():
            return build_chain_start(kind, ChainInput.of(row))
        case MergeJob(kind=MergeKind.pull_request):
            return build_merge_start(MergeInput.of(row))
        case MergeJob():
            return build_job_start(COMBINED_MERGE_WORKFLOW, kind, JobInput.of(row))
        case IssueSession() | AnsweringSession() | LearningExtraction() | SandboxJob():
            [workflow] = kind.workflows
            return build_job_start(workflow, kind, JobInput.of(row))
        case _:
            assert_never(row)
