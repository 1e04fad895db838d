"""Asking for the merge of a run's pull request."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict
from models.base import JsonObject
from models.event import EventType, append_event
from models.merging.merge_job import MergeJob, MergeKind, MergeStatus, MergeStrategy
from models.projects.allowed_repository import require_repository
from models.runs.run import Run

_ACTIVE_STATUSES = [MergeStatus.pending, MergeStatus.running]


async def request_pull_request_merge(
    session: AsyncSession, run: Run, member_id: str, strategy: MergeStrategy, *, skip_ci_check: bool
) -> MergeJob:
    """A pending merge of the run's pull request; Conflict without one, and while another is at work.

    RepositoryNotAllowed once the run's repository is not the project's to work on any more.

    The caller holds the run's row.
    """
    if run.pr_number is None:
        raise Conflict(f"Run {run.run_number} has no pull request that could be merged.")
    await require_repository(session, run.project_id, run.repository_slug)
    at_work = select(col(MergeJob.id)).where(
        col(MergeJob.run_id) == run.id, col(MergeJob.status).in_(_ACTIVE_STATUSES)
    )
    if other := (await session.execute(at_work)).scalar_one_or_none():
        raise Conflict(f"The merge {other} is at work on this pull request: it goes on by itself.")
    job = MergeJob(
        project_id=run.project_id,
        kind=MergeKind.pull_request,
        run_id=run.id,
        name=f"Merge #{run.pr_number}",
        repository_slug=run.repository_slug,
        github_repo_url=run.github_repo_url,
        base_branch=run.base_branch,
        pr_url=run.pr_url,
        pull_requests=[{"prUrl": run.pr_url, "prNumber": run.pr_number}],
        merge_strategy=strategy,
        skip_ci_check=skip_ci_check,
        requested_by=member_id,
    )
    asked: JsonObject = {"mergeStrategy": strategy, "skipCiCheck": skip_ci_check, "requestedBy": member_id}
    session.add(job)
    await session.flush()
    append_event(session, job, EventType.merge_created, asked)
    append_event(session, run, EventType.pr_merge_requested, {"mergeJobId": job.id, **asked})
    return job
