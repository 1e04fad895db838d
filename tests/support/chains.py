"""What tests ask of chains, of sprints and of issues alike."""

from typing import TypeVar

from sqlmodel import col

from activities.jobs.launch import start_row
from models import Run, SprintChain, WorkChain
from models.chains.chain import ChainStatus
from models.runs.run import RunStatus
from tests.support.installation import Installation, wait_until
from tests.support.waiting import TEST_TIMEOUT_SECONDS

C = TypeVar("C", SprintChain, WorkChain)


async def start(site: Installation, chain: C) -> C:
    await start_row(site.client, chain)
    return chain


async def read(site: Installation, chain: C) -> C:
    kind = type(chain)
    [row] = await site.rows(kind, col(kind.id) == chain.id, col(kind.id))
    return row


async def chain_runs(site: Installation, chain: SprintChain | WorkChain) -> list[Run]:
    return await site.rows(Run, col(Run.chain_id) == chain.id, col(Run.id))


async def wait_for_status(
    site: Installation, chain: C, *wanted: ChainStatus, patience: float = TEST_TIMEOUT_SECONDS
) -> C:
    async def is_there() -> bool:
        return (await read(site, chain)).status in wanted

    await wait_until(is_there, f"chain {chain.id} is {wanted}", patience)
    return await read(site, chain)


async def wait_for_started_runs(site: Installation, chain: SprintChain | WorkChain, count: int) -> None:
    """Wait until so many of its runs are at work, or were: a run's row is there before its workflow is."""

    async def has_begun() -> bool:
        runs = await chain_runs(site, chain)
        return [run.status is RunStatus.pending for run in runs].count(False) >= count

    await wait_until(has_begun, f"{count} runs have begun")
