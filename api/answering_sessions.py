"""What starting an answering session needs besides its row: the engine."""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.job_starting import JobInput, start_job
from api.workflows import Remembered
from models.answering_session import AnsweringSession


def hand_over_answering(row: AnsweringSession, workflows: Remembered) -> None:
    """Start the session's workflow after the commit and record that the engine has it."""
    told = JobInput.of(row)

    async def start(client: Client) -> None:
        await start_job(client, told)

    async def taken(session: AsyncSession) -> None:
        (await session.get_one(AnsweringSession, told.job_id, with_for_update=True)).take()

    workflows.start(row.id, start, taken)
