"""What starting a merge needs besides its row: the engine."""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.merge_starting import MergeInput, start_merge
from api.workflows import Remembered
from models.event import EventType, append
from models.merge_job import MergeJob


def hand_over_merge(job: MergeJob, workflows: Remembered) -> None:
    """Start the merge's workflow after the commit and record that the engine has it."""
    told = MergeInput.of(job)

    async def start(client: Client) -> None:
        await start_merge(client, told)

    async def taken(session: AsyncSession) -> None:
        row = await session.get_one(MergeJob, told.job_id, with_for_update=True)
        if row.take():  # unless the workflow was quicker
            append(session, row, EventType.merge_started)

    workflows.start(job.id, start, taken)
