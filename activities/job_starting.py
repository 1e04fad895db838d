"""How the workflows of jobs other than runs are started: by the API after its commit, and by the sweep."""

from typing import Final

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.starting import start_once
from kit.temporal import KIND, PROJECT_ID, REPOSITORY, STATUS
from models.job import Job

ANSWERING_WORKFLOW: Final = "AnsweringSession"
ISSUE_SESSION_WORKFLOW: Final = "IssueSession"
INTEGRATION_WORKFLOW: Final = "Merge"
_WORKFLOWS: Final = {
    "as": (ANSWERING_WORKFLOW, "answering-session", "Answering session"),
    "mj": (INTEGRATION_WORKFLOW, "merge", "Merge"),
    "is": (ISSUE_SESSION_WORKFLOW, "issue-session", "Issue session"),
}
"""By the prefix of the job's id: its workflow, its kind as operators search for it, and in words."""


class JobInput(BaseModel):
    """What the workflow is told; everything else it reads by the id."""

    job_id: str
    project_id: str
    name: str
    repository: str

    @classmethod
    def of(cls, job: Job) -> "JobInput":
        return cls(job_id=job.id, project_id=job.project_id, name=job.name, repository=job.repository_slug)


async def start_job(client: Client, input: JobInput) -> None:
    """Start the job's workflow; one that was started before is left alone."""
    workflow, kind, noun = _WORKFLOWS[input.job_id.split("_", 1)[0]]
    attributes = [
        SearchAttributePair(PROJECT_ID, input.project_id),
        SearchAttributePair(KIND, kind),
        SearchAttributePair(STATUS, "running"),
        SearchAttributePair(REPOSITORY, input.repository),
    ]
    await start_once(
        client, workflow, input, id=input.job_id, project_id=input.project_id,
        attributes=TypedSearchAttributes(attributes), summary=f"{noun} on {input.repository}: {input.name}",
    )  # fmt: skip
