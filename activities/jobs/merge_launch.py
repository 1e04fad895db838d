"""What the workflow of a pull request's merge is told, and how it is started."""

from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel

from activities.jobs.launch import WorkflowStart
from models.jobs.job_registry import PULL_REQUEST_MERGE_WORKFLOW
from models.merging.merge_job import MergeJob

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
