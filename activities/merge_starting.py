"""How a merge's workflow is started: by the API after its commit, and by the sweep."""

from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.starting import start_once
from kit.temporal import KIND, PROJECT_ID, REPOSITORY, RUN_ID, STATUS
from models.merge_job import MergeJob

MERGE_WORKFLOW: Final = "PullRequestMerge"
FIRST_PAUSE: Final = timedelta(seconds=2)


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
    pause: timedelta = FIRST_PAUSE

    @classmethod
    def of(cls, job: MergeJob) -> "MergeInput":
        assert job.run_id, "a merge of one pull request is that of a run"
        number = job.pull_requests[0]["prNumber"]
        assert isinstance(number, int)
        return cls(
            job_id=job.id, run_id=job.run_id, project_id=job.project_id, repository=job.repository_slug,
            number=number,
        )  # fmt: skip


async def start_merge(client: Client, input: MergeInput) -> None:
    """Start the workflow of a merge; one that was started before is left alone."""
    attributes = [
        SearchAttributePair(PROJECT_ID, input.project_id),
        SearchAttributePair(RUN_ID, input.run_id),
        SearchAttributePair(KIND, "pull-request-merge"),
        SearchAttributePair(STATUS, "running"),
        SearchAttributePair(REPOSITORY, input.repository),
    ]
    await start_once(
        client, MERGE_WORKFLOW, input, id=input.job_id, project_id=input.project_id,
        attributes=TypedSearchAttributes(attributes),
        summary=f"Merge of pull request {input.number} on {input.repository}",
    )  # fmt: skip
