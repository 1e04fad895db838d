"""The end of a row whose workflow cannot write it any more, as that would have."""

from typing import assert_never

from activities.chains.lifecycle import CloseChain, end_chain
from activities.chains.work_chain import notify_chain_end
from activities.issues.answering import AnsweringActivities
from activities.issues.scan import IssueScanActivities
from activities.jobs.lifecycle import CloseJob, JobResult
from activities.learnings.extractions import close_extraction_row
from activities.merging.combined_merge import CombinedMergeJobActivities
from activities.merging.pull_request_merge import CloseMerge, PullRequestMergeJobActivities
from activities.runs.lifecycle import RunActivities
from activities.sandboxes.sandbox_jobs import SandboxJobActivities
from kit.database import Database
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
from models.chains.chain import ChainStatus
from models.jobs.job import WORKFLOW_LOST
from models.jobs.job_registry import WorkflowRow


async def close_row(database: Database, row: WorkflowRow, ending: JobResult) -> None:
    """Close it with everything that its workflow's last word does; the first ending stays.

    A kind that is missing here is an error of mypy's.
    """
    close = CloseJob(job_id=row.id, ending=ending)
    match row:
        case Run():
            await RunActivities(database).close_run(close)
        case IssueSession():
            await IssueScanActivities(database).close_issue_session(close)
        case AnsweringSession():
            await AnsweringActivities(database).close_answering(close)
        case LearningExtraction():
            async with database.transaction() as session:
                await close_extraction_row(session, close)
        case MergeJob(run_id=str(run_id)):
            code, message = ending.code or WORKFLOW_LOST, ending.message or ""
            await PullRequestMergeJobActivities(database).close_merge(
                CloseMerge(job_id=row.id, run_id=run_id, code=code, message=message)
            )
        case MergeJob():
            await CombinedMergeJobActivities(database).close_combined_merge(close)
        case SandboxJob():
            await SandboxJobActivities(database).close_sandbox_job(close)
        case SprintChain() | WorkChain():
            await _close_chain(database, row, ending)
        case _:
            assert_never(row)


async def _close_chain(database: Database, seen: SprintChain | WorkChain, ending: JobResult) -> None:
    """End the attempt that was seen; a later one is another workflow's."""
    async with database.transaction() as session:
        chain = await session.get_one(type(seen), seen.id, with_for_update=True)
        if chain.temporal_workflow_id != seen.temporal_workflow_id:
            return
        close = CloseChain(
            chain_id=chain.id, status=ChainStatus(ending.status), code=ending.code, message=ending.message
        )
        event = await end_chain(session, chain, close)
        if event is not None and isinstance(chain, WorkChain):
            await notify_chain_end(session, chain, event)
