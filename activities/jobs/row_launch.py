"""The workflow of a row of whatever kind, started: by the API after its commit, and by the reconciler."""

import asyncio
from typing import Final, assert_never

from temporalio.client import Client
from temporalio.service import RPCError

from activities.jobs.chain_launch import ChainInput, build_chain_start
from activities.jobs.job_launch import JobInput, build_job_start
from activities.jobs.launch import RunInput, WorkflowStart, build_run_start, start_workflow
from activities.jobs.merge_launch import MergeInput, build_merge_start
from kit.logs import logger
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
from models.jobs.job_registry import COMBINED_MERGE_WORKFLOW, JOB_KINDS, WorkflowRow
from models.merging.merge_job import MergeKind

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
