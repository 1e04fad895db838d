"""What a merge's workflow writes about itself: short transactions on our own database, as local activities.

Each is safe to repeat: a job that is taken stays so, and an ending that is there stays.
"""

from pydantic import BaseModel
from temporalio import activity

from activities.jobs.snapshots import load_snapshot
from kit.database import Database
from models import MergeJob, Run
from models.event import EventType, append_event
from models.merging.merge_job import MergeStatus
from models.merging.merge_outcome import fail_merge

PULL_REQUEST_CLOSED = "PULL_REQUEST_CLOSED"
MERGE_CONFLICT = "MERGE_CONFLICT"
"""What `gateways.github.pull_requests.MergeConflict` is called in the engine."""


class MergePlan(BaseModel):
    delete_branch: bool


class CloseMerge(BaseModel):
    job_id: str
    run_id: str
    code: str | None = None
    """Of what it failed; None when the attempt itself has written that it is merged."""
    message: str = ""


class PullRequestMergeJobActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_merge(self, job_id: str) -> MergePlan | None:
        """Take the job, unless the API already did; None when it has ended."""
        async with self.database.transaction() as session:
            job = await session.get_one(MergeJob, job_id, with_for_update=True)
            if job.status.is_final:
                return None
            if job.take():
                append_event(session, job, EventType.merge_started)
        snapshot = await load_snapshot(self.database, str(job.run_id))
        return MergePlan(delete_branch=snapshot.config.delete_branch_on_merge)

    @activity.defn
    async def close_merge(self, end: CloseMerge) -> MergeStatus:
        """The last word of a merge that failed; the first ending stays."""
        async with self.database.transaction() as session:
            run = await session.get_one(Run, end.run_id, with_for_update=True)
            job = await session.get_one(MergeJob, end.job_id, with_for_update=True)
            if end.code is None or job.status.is_final:
                return job.status
            if end.code == MERGE_CONFLICT:
                job.conflicts = [{**job.pull_requests[0], "message": end.message}]
            await fail_merge(session, run, job, end.code, end.message, closed=end.code == PULL_REQUEST_CLOSED)
            return job.status
