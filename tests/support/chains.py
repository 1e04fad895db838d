"""What tests ask of chains, of sprints and of issues alike."""

from typing import TypeVar

from sqlmodel import col

from activities.jobs.row_launch import start_row
from models import Run, SprintChain, WorkChain
from models.chains.chain import ChainStatus
from models.runs.run import RunStatus
from tests.support.installation import Site, eventually
from tests.support.waiting import PATIENCE

C = TypeVar("C", SprintChain, WorkChain)


async def start(site: Site, chain: C) -> C:
    await start_row(site.client, chain)
    return chain


async def read(site: Site, chain: C) -> C:
    kind = type(chain)
    [row] = await site.rows(kind, col(kind.id) == chain.id, col(kind.id))
    return row


async def runs_of(site: Site, chain: SprintChain | WorkChain) -> list[Run]:
    return await site.rows(Run, col(Run.chain_id) == chain.id, col(Run.id))


async def reaches(site: Site, chain: C, *wanted: ChainStatus, patience: float = PATIENCE) -> C:
    async def is_there() -> bool:
        return (await read(site, chain)).status in wanted

    await eventually(is_there, f"chain {chain.id} is {wanted}", patience)
    return await read(site, chain)


async def begun(site: Site, chain: SprintChain | WorkChain, count: int) -> None:
    """Wait until so many of its runs are at work, or were: a run's row is there before its workflow is."""

    async def has_begun() -> bool:
        runs = await runs_of(site, chain)
        return [run.status is RunStatus.pending for run in runs].count(False) >= count

    await eventually(has_begun, f"{count} runs have begun")
