"""How a chain's workflow is started: by the API after its commit, and by the sweep."""

from typing import Final, NamedTuple

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.starting import start_once
from kit.temporal import KIND, PROJECT_ID, REPOSITORY, STATUS
from models.chain import Chain

SPRINT_CHAIN_WORKFLOW: Final = "SprintChain"
WORK_CHAIN_WORKFLOW: Final = "WorkChain"


class _Kind(NamedTuple):
    workflow: str
    name: str
    title: str


_KINDS: Final = {
    "sc": _Kind(SPRINT_CHAIN_WORKFLOW, "sprint-chain", "Sprint chain"),
    "wc": _Kind(WORK_CHAIN_WORKFLOW, "work-chain", "Work chain"),
}
"""By the prefix of a chain's id."""


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
            chain_id=chain.id, engine_id=chain.engine_id, project_id=chain.project_id,
            repository=chain.repository_slug,
        )  # fmt: skip


async def start_chain(client: Client, input: ChainInput) -> None:
    """Start the workflow of a chain's attempt; one that was started before is left alone."""
    kind = _KINDS[input.chain_id.partition("_")[0]]
    attributes = [
        SearchAttributePair(PROJECT_ID, input.project_id),
        SearchAttributePair(KIND, kind.name),
        SearchAttributePair(STATUS, "running"),
        SearchAttributePair(REPOSITORY, input.repository),
    ]
    await start_once(
        client, kind.workflow, input, id=input.engine_id, project_id=input.project_id,
        attributes=TypedSearchAttributes(attributes), summary=f"{kind.title} on {input.repository}",
    )  # fmt: skip
