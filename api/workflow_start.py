"""What starting something needs besides its row: the engine."""

from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.jobs.row_launch import start_row
from api.after_commit import AfterCommit
from models.event import append_event
from models.jobs.job_registry import WorkflowRow
from models.runs.run import Run
from models.runs.run_queue import start_or_enqueue

Row = TypeVar("Row", bound=WorkflowRow)


def start_after_commit(row: Row, workflows: AfterCommit) -> None:
    """Start the row's workflow after the commit and record that the engine has it."""

    async def start(client: Client) -> None:
        await start_row(client, row)

    async def taken(session: AsyncSession) -> None:
        now = await session.get_one(type(row), row.id, with_for_update=True)
        if now.engine_id == row.engine_id:
            now.temporal_namespace = workflows.namespace
        if isinstance(now, Run):
            await start_or_enqueue(session, now)
        elif now.take() and now.STARTED:  # unless the workflow was quicker, or it ended meanwhile
            append_event(session, now, now.STARTED)

    workflows.start(row.engine_id, start, taken)
