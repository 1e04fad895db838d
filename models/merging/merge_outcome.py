"""What is told when a pull request is merged, or could not be: status, events and notifications, once each.

The caller holds the run's row, then the job's, in this order.
"""

from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import JsonObject
from models.event import EventType, append_event
from models.merging.merge_job import MergeJob, MergeStatus
from models.notifications.notification import NotificationType, notify_members
from models.runs.run import Run


async def record_merged(session: AsyncSession, run: Run, data: JsonObject) -> None:
    """The run's pull request is merged; whoever hears of it first, a job or a webhook, tells."""
    if not run.pr_merged():
        return
    event = append_event(session, run, EventType.pr_merged, _subject(run) | data)
    title = f"The pull request of run {run.run_number} was merged"
    await notify_members(session, event, NotificationType.pr_merged, title, run.pr_url or "", event.data)


async def complete_merge(session: AsyncSession, run: Run, job: MergeJob, merge_sha: str | None) -> None:
    """The job has done what it was asked for, or found it done."""
    if not job.close(MergeStatus.completed):
        return
    job.merge_sha = merge_sha
    append_event(session, job, EventType.merge_ended, {"status": job.status, "mergeSha": merge_sha})
    await record_merged(session, run, {"mergeJobId": job.id, "mergeSha": merge_sha})


async def fail_merge(
    session: AsyncSession, run: Run, job: MergeJob, code: str, message: str, *, closed: bool = False
) -> None:
    """The job could not do it; the pull request stays open, unless it was `closed` without being merged."""
    if not job.close(MergeStatus.failed, code, message):
        return
    reason: JsonObject = {"code": code, "message": message}
    append_event(session, job, EventType.merge_ended, {"status": job.status, **reason})
    run.pr_not_merged(closed=closed)
    data: JsonObject = {"mergeJobId": job.id, **reason}
    event = append_event(session, run, EventType.pr_merge_failed, _subject(run) | data)
    title = f"The pull request of run {run.run_number} could not be merged"
    await notify_members(session, event, NotificationType.pr_failed, title, message, event.data)


def _subject(run: Run) -> JsonObject:
    return {"runId": run.id, "prUrl": run.pr_url, "number": run.pr_number}


def record_pull_request_merged(session: AsyncSession, job: MergeJob, number: int, sha: str) -> None:
    """One of several pull requests is merged by this commit, from which the next one starts; once."""
    if job.outcome_of(number) is None:
        job.integrated_sha = sha
        record_pull_request_outcome(session, job, number, "merged")


def record_pull_request_outcome(
    session: AsyncSession, job: MergeJob, number: int, outcome: str, reason: str = ""
) -> None:
    """What became of one of several pull requests, on the job and in its log, once, while that is open."""
    if not job.is_over and job.settle(number, outcome, reason):
        data: JsonObject = {"prNumber": number, "outcome": outcome, "message": reason}
        append_event(session, job, EventType.merge_settled, data)
