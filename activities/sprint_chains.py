"""What a sprint chain's workflow writes: short transactions on our own database, as local activities.

Each is safe to repeat: a run is found again by its unique key, and an ending that is there stays.
"""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.sprint_runs import run_of_sprint
from activities.starting import RunInput
from kit.database import Database
from kit.settings import Settings
from models import Event, Run, SprintChain
from models.base import JsonObject
from models.event import EventType, append
from models.notification import NotificationType, notify
from models.run import RunStatus
from models.sprint_chain import ChainStatus


class ChainPlan(BaseModel):
    index: int
    count: int


class Sprint(BaseModel):
    chain_id: str
    index: int


class SprintEnd(Sprint):
    run_id: str


class ChainNote(BaseModel):
    chain_id: str
    paused: bool


class CloseChain(BaseModel):
    chain_id: str
    status: ChainStatus
    code: str | None = None
    message: str | None = None


class SprintChains:
    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings

    @activity.defn
    async def begin_chain(self, chain_id: str) -> ChainPlan | None:
        """Take the chain, unless the API already did; None when it was cancelled before it began."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, chain_id, with_for_update=True)
            if chain.status.is_final:
                return None
            if chain.take():
                append(session, chain, EventType.chain_started)
            return ChainPlan(index=chain.first_index, count=chain.count)

    @activity.defn
    async def begin_sprint(self, sprint: Sprint) -> RunInput:
        """The sprint's run, pending; found again by chain, index and attempt."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, sprint.chain_id, with_for_update=True)
            key = f"{chain.id}:{sprint.index}:{chain.attempt}"
            statement = select(Run).where(col(Run.unique_key) == key)
            run: Run | None = (await session.execute(statement)).scalar_one_or_none()
            if run is None:
                run = await run_of_sprint(session, chain, sprint.index, key, self.settings)
                chain.begin_sprint(sprint.index, run.id)
                data: JsonObject = {"index": sprint.index, "runId": run.id}
                append(session, chain, EventType.sprint_started, data)
        return RunInput.of(run)

    @activity.defn
    async def end_sprint(self, end: SprintEnd) -> RunStatus:
        """How the sprint's run ended, and its pull request, on the chain's row."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, end.chain_id, with_for_update=True)
            run = await session.get_one(Run, end.run_id)
            if await _is_told(session, chain, run):
                return run.status
            completed = run.status is RunStatus.completed
            if completed:
                chain.end_sprint(end.index, run.pr_url)
            data: JsonObject = {"index": end.index, "runId": run.id, "prUrl": run.pr_url}
            event = append(
                session, chain, EventType.sprint_completed if completed else EventType.sprint_failed, data
            )
            kind = NotificationType.sprint_completed if completed else NotificationType.sprint_failed
            number = chain.sprint_start + end.index
            what = f"Sprint {number} {'completed' if completed else 'did not complete'}"
            body = run.pr_url or run.error_message or f"Its run is {run.status}."
            await notify(session, event, kind, what, body, {"sprintChainId": chain.id, **data})
        return run.status

    @activity.defn
    async def note_chain(self, note: ChainNote) -> None:
        """Pause or go on, on the row and in the log; said twice, it is written once."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, note.chain_id, with_for_update=True)
            if chain.hold(note.paused):
                append(session, chain, EventType.chain_paused if note.paused else EventType.chain_resumed)

    @activity.defn
    async def close_chain(self, close: CloseChain) -> ChainStatus:
        """The last word of an attempt; the first ending stays."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, close.chain_id, with_for_update=True)
            if chain.close(close.status, close.code, close.message):
                append(session, chain, EventType.chain_ended, {"status": chain.status, "code": close.code})
            return chain.status


async def _is_told(session: AsyncSession, chain: SprintChain, run: Run) -> bool:
    """Whether the chain's log says already how this run ended."""
    told = select(col(Event.id)).where(
        col(Event.subject_id) == chain.id,
        col(Event.type).in_([EventType.sprint_completed, EventType.sprint_failed]),
        col(Event.data)["runId"].astext == run.id,
    )
    return (await session.execute(told)).first() is not None
