"""What a chain's workflow is told, and how it is started."""

from pydantic import BaseModel

from activities.jobs.launch import WorkflowStart
from models.chains.chain import Chain
from models.jobs.job_registry import JobKind


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
            engine_id=chain.engine_id,
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
