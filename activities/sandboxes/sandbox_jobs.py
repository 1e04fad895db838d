"""What the workflow of a sandbox of one's own writes: short transactions on our own database.

Each is safe to repeat: a conversation is found again, a message is told once, and the first ending stays.
"""

from datetime import datetime

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.agent.sessions import OpenedSession, find_session, open_session
from activities.agent.user_messages import load_queued_messages
from activities.jobs.lifecycle import CloseJob
from activities.jobs.snapshots import load_snapshot
from activities.sandboxes.lifecycle import SandboxRef
from activities.sandboxes.records import close_sandbox
from kit.database import Database
from models import AgentSession, Message, Sandbox, SandboxEvent, SandboxJob
from models.agent.session import MessageRole, turn_number
from models.agent.session_kind import SessionKind
from models.event import EventType, append_event
from models.sandboxes.sandbox import SandboxEventType, SandboxStatus
from models.sandboxes.sandbox_job import SandboxJobStatus


class AgentRound(OpenedSession):
    """What an agent does between two words of its user."""

    turn: int
    """The one it begins with; turns of a conversation are counted through."""


class RoundEnd(SandboxRef):
    session_id: str
    turn: int
    error: str | None = None


class SandboxJobActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_sandbox_job(self, job_id: str) -> bool:
        """Take it, unless the API already did; False when it was deleted before it began."""
        async with self.database.transaction() as session:
            job = await session.get_one(SandboxJob, job_id, with_for_update=True)
            if job.is_finished:
                return False
            if job.mark_started():
                append_event(session, job, EventType.sandbox_job_started)
            return True

    @activity.defn(name="keep_sandbox")
    async def start_lifetime(self, job_id: str) -> datetime:
        """Let the time of a sandbox begin that is ready; when it is over.  Repeated, it says the same."""
        async with self.database.transaction() as session:
            job = await session.get_one(SandboxJob, job_id, with_for_update=True)
            return job.start_lifetime()

    @activity.defn
    async def begin_round(self, ref: SandboxRef) -> AgentRound | None:
        """The conversation, if a message waits for its agent; the first message opens it.

        Killed after the commit, the second execution finds the conversation, and no message unless another
        one waits: then the round is begun all the same, as its first message was not answered.
        """
        snapshot = await load_snapshot(self.database, ref.job_id)
        async with self.database.transaction() as session:
            job = await session.get_one(SandboxJob, ref.job_id, with_for_update=True)
            if job.is_finished:
                return None
            agent = await find_session(session, job.id, SessionKind.companion)
            waiting = await load_queued_messages(session, job.id)
            if agent is None:
                if not waiting:
                    return None
                first = waiting[0]
                agent = await open_session(
                    session,
                    job,
                    snapshot,
                    snapshot.steps[0],
                    SessionKind.companion,
                    first.content,
                    sandbox_id=ref.sandbox_id,
                )
                first.deliver(agent.id, 0)
                append_event(session, job, EventType.message_received, {"messageId": first.id})
                return _build_round(agent, 1)
            last = await _load_last_message(session, agent)
            answered = last.role is MessageRole.assistant
            if answered and not waiting:
                return None
            return _build_round(
                agent, turn_number(last.sequence) + 1 if answered else max(turn_number(last.sequence), 1)
            )

    @activity.defn
    async def end_round(self, end: RoundEnd) -> None:
        """In the sandbox's log: what came of a round; said twice, it is written once."""
        status = "failed" if end.error else "completed"
        message = f"The agent's work from turn {end.turn} on {status}." + (
            f" {end.error}" if end.error else ""
        )
        async with self.database.transaction() as session:
            job = await session.get_one(SandboxJob, end.job_id, with_for_update=True)
            known = select(SandboxEvent).where(
                col(SandboxEvent.sandbox_id) == end.sandbox_id, col(SandboxEvent.message) == message
            )
            if (await session.execute(known)).first() is None:
                job.current_step_progress = None
                line = SandboxEvent(
                    sandbox_id=end.sandbox_id, type=SandboxEventType.agent_cli, status=status, message=message
                )
                session.add(line)

    @activity.defn
    async def close_sandbox_job(self, close: CloseJob) -> SandboxJobStatus:
        """The last word; the first ending stays."""
        ending = close.ending
        async with self.database.transaction() as session:
            job = await session.get_one(SandboxJob, close.job_id, with_for_update=True)
            status = SandboxJobStatus(ending.status)
            if job.close(status, code=ending.code, message=ending.message):
                _append_end(session, job)
            if job.status is SandboxJobStatus.failed:
                await _explain_failure(session, job)
            return job.status


def mark_sandbox_job_lost(session: AsyncSession, job: SandboxJob) -> None:
    """End a job whose sandbox is gone, once; the caller holds its row.  Its workflow is ended as stray."""
    if job.mark_lost():
        _append_end(session, job)


async def _explain_failure(session: AsyncSession, job: SandboxJob) -> None:
    """Why the job failed, on its sandbox, which is what clients see; one that was never made ends here."""
    statement = select(Sandbox).where(col(Sandbox.job_id) == job.id)
    for sandbox in (await session.execute(statement)).scalars():
        if sandbox.provider_id is None:
            close_sandbox(session, job, sandbox, SandboxStatus.error, job.error_message)
        sandbox.set_error(job.error_message)


def _append_end(session: AsyncSession, job: SandboxJob) -> None:
    append_event(session, job, EventType.sandbox_job_ended, {"status": job.status, "code": job.error_code})


def _build_round(agent: AgentSession, turn: int) -> AgentRound:
    most = turn - 1 + agent.max_turns
    return AgentRound(session_id=agent.id, label=agent.label, max_turns=most, turn=turn)


async def _load_last_message(session: AsyncSession, agent: AgentSession) -> Message:
    """The newest message of a conversation."""
    statement = (
        select(Message).where(col(Message.session_id) == agent.id).order_by(col(Message.sequence).desc())
    )
    message: Message = (await session.execute(statement.limit(1))).scalars().one()
    return message
