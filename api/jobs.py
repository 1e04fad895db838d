"""What starting a job needs besides its row: the engine."""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.job_starting import JobInput, start_job
from api.workflows import Remembered
from models.event import append
from models.job import Job
from models.jobs import job_of


def hand_over_job(job: Job, workflows: Remembered) -> None:
    """Start the job's workflow after the commit and record that the engine has it; runs have their own."""
    told = JobInput.of(job)

    async def start(client: Client) -> None:
        await start_job(client, told)

    async def taken(session: AsyncSession) -> None:
        row = await job_of(session, told.job_id, lock=True)
        if row.take() and row.STARTED:  # unless the workflow was quicker, or it ended meanwhile
            append(session, row, row.STARTED)

    workflows.start(job.id, start, taken)
