"""What the workflows of both kinds of chains write alike: holding, and the end."""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from kit.database import Database
from kit.ids import is_id
from models import Event, Run, SprintChain, WorkChain
from models.base import JsonObject
from models.chains.chain import Chain, ChainStatus
from models.event import EventType, append_event
from models.runs.run import RunStatus
from models.runs.run_completion import publish_completion


class ChainPlan(BaseModel):
    """Where an attempt begins, and how many places the chain has."""

    index: int
    count: int


class ChainPause(BaseModel):
    chain_id: str
    paused: bool


class CloseChain(BaseModel):
    chain_id: str
    status: ChainStatus
    code: str | None = None
    message: str | None = None
    run_id: str | None = None
    """The run that it failed with."""


class ChainActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn(name="note_chain")
    async def set_chain_paused(self, note: ChainPause) -> None:
        """Pause or go on, on the row and in the log; said twice, it is written once."""
        kind: type[Chain] = WorkChain if is_id(note.chain_id, "wc") else SprintChain
        async with self.database.transaction() as session:
            chain = await session.get_one(kind, note.chain_id, with_for_update=True)
            if chain.set_paused(note.paused):
                append_event(
                    session, chain, EventType.chain_paused if note.paused else EventType.chain_resumed
                )


async def end_chain(session: AsyncSession, chain: Chain, close: CloseChain) -> Event | None:
    """The last word of an attempt; None when it was said before.  The caller holds the chain's row.

    A run that was made for it and that Temporal does not have, because the end came in between, ends with it.
    """
    message = await _reason(session, close)
    if not chain.close(close.status, close.code, message if close.code else None, close.run_id):
        return None
    data: JsonObject = {"status": chain.status, "code": close.code, "runId": close.run_id}
    if message:
        data["message"] = message
    event = append_event(session, chain, EventType.chain_ended, data)
    left = select(Run).where(
        col(Run.chain_id) == chain.id,
        col(Run.status) == RunStatus.pending,
        col(Run.queued_at).is_(None),
        col(Run.restarted_from).is_(None),
    )
    for run in (await session.execute(left.with_for_update())).scalars():
        run.close(RunStatus.cancelled)
        await publish_completion(session, run)
    return event


async def _reason(session: AsyncSession, close: CloseChain) -> str | None:
    """Why it ended, with the error of the run that it failed with."""
    run = await session.get(Run, close.run_id) if close.run_id else None
    if run is None or run.error_message is None:
        return close.message
    return f"{close.message} {run.error_code}: {run.error_message}"


async def has_event(
    session: AsyncSession, chain: Chain, kinds: list[EventType], name: str, value: str
) -> bool:
    """Whether the chain's log has an event of one of these kinds with this value in its data."""
    told = select(col(Event.id)).where(
        col(Event.subject_id) == chain.id,
        col(Event.type).in_(kinds),
        col(Event.data)[name].astext == value,
    )
    return (await session.execute(told)).first() is not None
