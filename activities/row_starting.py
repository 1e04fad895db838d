"""The workflow of a row of whatever kind, started: by the API after its commit, and by the sweep."""

from temporalio.client import Client

from activities.chain_starting import ChainInput, start_chain
from activities.engine_rows import EngineRow
from activities.job_starting import JobInput, start_job
from activities.merge_starting import MergeInput, start_merge
from activities.starting import RunInput, start_run
from models import MergeJob, Run
from models.chain import Chain
from models.merge_job import MergeKind


async def start_row(client: Client, row: EngineRow) -> None:
    """Start the workflow of a pending row; one that was started before is left alone."""
    if isinstance(row, Run):
        await start_run(client, RunInput.of(row))
    elif isinstance(row, Chain):
        await start_chain(client, ChainInput.of(row))
    elif isinstance(row, MergeJob) and row.kind is MergeKind.pull_request:
        await start_merge(client, MergeInput.of(row))
    else:
        await start_job(client, JobInput.of(row))
