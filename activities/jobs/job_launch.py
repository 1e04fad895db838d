"""What the workflows of jobs other than runs are told, and how they are started."""

from pydantic import BaseModel

from activities.jobs.launch import WorkflowStart
from models.jobs.job import Job
from models.jobs.job_registry import JobKind


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
