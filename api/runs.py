"""What starting a run needs besides its row: the repository it works on, and the engine."""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.starting import RunInput, start_run
from api.errors import refused
from api.workflows import Remembered
from gateways.github import parse_repository
from kit.settings import Settings
from models.event import EventType, append
from models.run import Run


def repository(url: str, settings: Settings) -> str:
    """`owner/name` of a repository's address; Invalid when it is none."""
    try:
        return parse_repository(url, settings.github_url)
    except ValueError as error:
        raise refused(error, "githubRepoUrl") from None


def hand_over(run: Run, workflows: Remembered) -> None:
    """Start the run's workflow after the commit and record that the engine has it."""
    told = RunInput.of(run)

    async def start(client: Client) -> None:
        await start_run(client, told)

    async def taken(session: AsyncSession) -> None:
        row = await session.get_one(Run, told.run_id, with_for_update=True)
        if row.take():  # unless the workflow was quicker, or the run was cancelled meanwhile
            append(session, row, EventType.run_started)

    workflows.start(run.id, start, taken)
