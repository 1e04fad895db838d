"""Starts and signals that a handler asks for: remembered while it works, sent to Temporal after the commit.

So Temporal never learns of a row that was rolled back, and no transaction waits for it.  A start that does
not reach it leaves its row pending; the worker's sweep starts it later.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.jobs.launch import start_row
from api.state import UnitOfWork, unit_of_work_of
from api.temporal import Operation
from kit.errors import AppError, Conflict, Unavailable
from kit.logs import logger
from models.event import append_event
from models.jobs.job_registry import WorkflowRow
from models.runs.run import Run
from models.runs.run_queue import start_or_enqueue

log = logger(__name__)
Change = Callable[[AsyncSession], Awaitable[None]]
"""A small transaction of its own."""
Undo = Callable[[AsyncSession], Awaitable[bool]]
"""The same; False when it is too late, as what it would undo was carried out."""
UNDECIDED_MESSAGE = (
    "Nobody took the command in time. It may still be carried out: look before you send it again."
)
WITHDRAWN_MESSAGE = "Nobody took it in time, so it was taken back; please try again."


class AfterCommit:
    """The starts and commands of one request; `id` is the workflow's and the row's."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._engine, self.database = unit.api.temporal, unit.database
        self.namespace = unit.api.settings.temporal_namespace

    def start(self, id: str, start: Operation[None], taken: Change) -> None:
        """Start a workflow after the commit, then record by `taken` that the engine has it."""

        async def work() -> bool:
            try:
                await self._engine.call(start)
                await self._change(taken)
            except (AppError, SQLAlchemyError) as error:
                log.warning("start postponed", workflow_id=id, reason=str(error))
                return False
            return True

        self._unit.after_commit.append(work)

    def notify(self, id: str, operation: Operation[None]) -> None:
        """Tell the engine something after the commit; what does not reach it is made good by the sweep."""

        async def work() -> bool:
            try:
                await self._engine.call(operation)
            except (AppError, SQLAlchemyError) as error:
                log.warning("the engine is told later", workflow_id=id, reason=str(error))
            return False

        self._unit.after_commit.append(work)

    def update(
        self,
        id: str,
        update: str,
        *arguments: str | int,
        update_id: str | None = None,
        undo: Undo | None = None,
    ) -> None:
        """Have a running workflow do something after the commit; `undo` what was committed if it does not.

        Temporal keeps what no worker took in time, and has it carried out later: a command is then neither
        done nor refused, and its answer says so.  `undo` decides what was sent with it.

        update_id: what is told again under it is done once.
        `update` is its name: workflow code brings the SDKs of the agents with it, which no front door needs.
        """

        async def tell(client: Client) -> None:
            await client.get_workflow_handle(id).execute_update(update, args=arguments, id=update_id)

        async def work() -> bool:
            try:
                await self._engine.call(tell)
            except Unavailable as error:
                if undo is None:
                    raise Unavailable(UNDECIDED_MESSAGE) from error
                if await self._undone(undo):
                    raise Unavailable(WITHDRAWN_MESSAGE) from error
            except AppError:
                if undo is None or await self._undone(undo):
                    raise
            return True

        self._unit.has_commands = True
        self._unit.after_commit.append(work)

    def cancel(self, id: str, *, certain: bool = True) -> None:
        """Ask a running workflow to end.

        Not `certain`: the row is closed already, so it does not matter whether the engine has anything to
        end.
        """

        async def work() -> bool:
            try:
                await self._engine.call(lambda client: client.get_workflow_handle(id).cancel())
            except (Conflict, Unavailable) as error:
                if certain:
                    raise
                log.info("nothing to cancel", workflow_id=id, reason=str(error))
            return certain

        self._unit.has_commands = self._unit.has_commands or certain
        self._unit.after_commit.append(work)

    async def _undone(self, undo: Undo) -> bool:
        async with self.database.transaction() as session:
            return await undo(session)

    async def _change(self, change: Change) -> None:
        async with self.database.transaction() as session:
            await change(session)


async def _after_commit(request: Request) -> AfterCommit:
    return AfterCommit(unit_of_work_of(request))


AfterCommitDep = Annotated[AfterCommit, Depends(_after_commit)]


async def _session(request: Request) -> AsyncSession:
    return unit_of_work_of(request).session


DbSession = Annotated[AsyncSession, Depends(_session)]


Row = TypeVar("Row", bound=WorkflowRow)


def start_after_commit(row: Row, workflows: AfterCommit) -> None:
    """Start the row's workflow after the commit and record that the engine has it."""

    async def start(client: Client) -> None:
        await start_row(client, row)

    async def taken(session: AsyncSession) -> None:
        now = await session.get_one(type(row), row.id, with_for_update=True)
        if now.temporal_workflow_id == row.temporal_workflow_id:
            now.temporal_namespace = workflows.namespace
        if isinstance(now, Run):
            await start_or_enqueue(session, now)
        elif (
            now.mark_started() and now.STARTED_EVENT
        ):  # unless the workflow was quicker, or it ended meanwhile
            append_event(session, now, now.STARTED_EVENT)

    workflows.start(row.temporal_workflow_id, start, taken)
