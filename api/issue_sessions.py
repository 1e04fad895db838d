"""What starting an issue session needs besides its row: the engine."""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.job_starting import JobInput, start_job
from api.workflows import Remembered
from models.event import EventType, append
from models.issue_session import IssueSession


def hand_over_session(row: IssueSession, workflows: Remembered) -> None:
    """Start the session's workflow after the commit and record that the engine has it."""
    told = JobInput.of(row)

    async def start(client: Client) -> None:
        await start_job(client, told)

    async def taken(session: AsyncSession) -> None:
        found = await session.get_one(IssueSession, told.job_id, with_for_update=True)
        if found.take():  # unless the workflow was quicker, or it was cancelled meanwhile
            append(session, found, EventType.issue_session_started)

    workflows.start(row.id, start, taken)
