"""How a sprint chain's workflow is started: by the API after its commit, and by the sweep."""

from typing import Final

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.starting import start_once
from kit.temporal import KIND, PROJECT_ID, REPOSITORY, STATUS
from models.sprint_chain import SprintChain

CHAIN_WORKFLOW: Final = "SprintChain"


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
    def of(cls, chain: SprintChain) -> "ChainInput":
        return cls(
            chain_id=chain.id, engine_id=chain.engine_id, project_id=chain.project_id,
            repository=chain.repository_slug,
        )  # fmt: skip


async def start_chain(client: Client, input: ChainInput) -> None:
    """Start the workflow of a chain's attempt; one that was started before is left alone."""
    attributes = [
        SearchAttributePair(PROJECT_ID, input.project_id),
        SearchAttributePair(KIND, "sprint-chain"),
        SearchAttributePair(STATUS, "running"),
        SearchAttributePair(REPOSITORY, input.repository),
    ]
    await start_once(
        client, CHAIN_WORKFLOW, input, id=input.engine_id, project_id=input.project_id,
        attributes=TypedSearchAttributes(attributes), summary=f"Sprint chain on {input.repository}",
    )  # fmt: skip
