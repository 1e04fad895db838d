"""Extractions of learnings: the transcript that the agent reads, what the workflow writes, and the end.

Each activity is safe to repeat: its agent's session is found again, and an ending that is there stays.  The
transcript is one text of a bounded size, as it is stored: without secrets and thoughts.
"""

from typing import Final

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import defer
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.agent.conversation import load_conversation
from activities.agent.sessions import OpenedSession, find_session
from activities.jobs.lifecycle import CloseJob
from activities.learnings.prompts import extractor_prompt, extractor_system
from gateways.anthropic.conversation import to_record, truncate
from kit.database import Database
from kit.settings import Settings
from models import AgentSession, Learning, LearningExtraction, Message, Run
from models.agent.session import MessageRole
from models.agent.session_kind import SessionKind
from models.event import EventType, append_event
from models.learnings.extraction import MAX_TURNS, TIME_LIMIT_SECONDS, ExtractionStatus

MAX_TRANSCRIPT_CHARS: Final = 120_000
"""Of the whole transcript: about 40,000 tokens."""
MAX_PIECE_CHARS: Final = 4_000
"""Of one text, call or result."""
MAX_SESSIONS: Final = 100
"""Of a run with more of them, the first and the last ones are told."""
MIN_SESSION_CHARS: Final = 4_000
"""That each session may have, however many there are."""


async def load_run_transcript(database: Database, run_id: str) -> str:
    """Every session of the run in the order of its work; what is too long loses its middle."""
    statement = (
        select(AgentSession)
        .where(col(AgentSession.job_id) == run_id)
        .options(defer(AgentSession.system))  # type: ignore[arg-type]  # a column, which SQLModel types as str
        .order_by(col(AgentSession.id))
    )
    async with database.read_only() as session:
        agents = list((await session.execute(statement)).scalars())
    if len(agents) > MAX_SESSIONS:
        agents = agents[: MAX_SESSIONS // 2] + agents[-MAX_SESSIONS // 2 :]
    share = max(MAX_TRANSCRIPT_CHARS // max(len(agents), 1), MIN_SESSION_CHARS)
    parts = []
    for number, agent in enumerate(agents, 1):
        messages = (await load_conversation(database, agent)).transcript()
        record = to_record(messages, piece=MAX_PIECE_CHARS, limit=share)
        parts.append(f"# Session {number}: {agent.label}\n\n{record}")
    return truncate("\n\n".join(parts), MAX_TRANSCRIPT_CHARS)


async def close_extraction_row(session: AsyncSession, close: CloseJob) -> ExtractionStatus:
    """The last word, with what its agent finished with; the first ending stays.  Its run is not touched."""
    ending = close.ending
    row = await session.get_one(LearningExtraction, close.job_id, with_for_update=True)
    if row.close(ExtractionStatus(ending.status), code=ending.code, message=ending.message):
        agent = await find_session(session, row.id, SessionKind.extractor)
        row.summary = str(agent.result["summary"]) if agent and agent.result else None
        append_event(
            session,
            row,
            EventType.learning_extraction_ended,
            {"status": row.status, "code": ending.code, "found": row.found_count, "merged": row.merged_count},
        )
    return row.status


MAX_KNOWN_LEARNINGS: Final = 100
"""Learnings that an extractor is told of, the latest ones; the others are compared when it reports."""
MAX_KNOWN_LEARNING_CHARS: Final = 400
"""Of each of them."""


class ExtractionPlan(BaseModel):
    time_limit_seconds: int


class ExtractionActivities:
    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings

    @activity.defn
    async def begin_extraction(self, id: str) -> ExtractionPlan | None:
        """Take it, unless it was taken before; None when it is over."""
        async with self.database.transaction() as session:
            row = await session.get_one(LearningExtraction, id, with_for_update=True)
            if row.is_finished:
                return None
            if row.mark_started():
                append_event(session, row, EventType.learning_extraction_started)
        return ExtractionPlan(time_limit_seconds=TIME_LIMIT_SECONDS)

    @activity.defn
    async def open_extractor(self, id: str) -> OpenedSession:
        """Its agent's session, told the run's transcript.

        Killed before the session is there, it is opened by the second execution, from the same rows; killed
        after, the second one finds it by its job.  Of two at once, the later one finds the other's.
        """
        async with self.database.read_only() as session:
            row = await session.get_one(LearningExtraction, id)
            agent = await find_session(session, id, SessionKind.extractor)
        if agent is None:
            transcript = await load_run_transcript(self.database, row.run_id)
            async with self.database.transaction() as session:
                row = await session.get_one(LearningExtraction, id, with_for_update=True)
                agent = await find_session(session, id, SessionKind.extractor)
                agent = agent or await self._open(session, row, transcript)
        return OpenedSession.of(agent)

    @activity.defn
    async def close_extraction(self, close: CloseJob) -> ExtractionStatus:
        """The last word; the first ending stays."""
        async with self.database.transaction() as session:
            return await close_extraction_row(session, close)

    async def _open(self, session: AsyncSession, row: LearningExtraction, transcript: str) -> AgentSession:
        run = await session.get_one(Run, row.run_id)
        prompt = extractor_prompt(run, transcript, await _load_known_learnings(session, row.project_id))
        agent = AgentSession(
            project_id=row.project_id,
            job_id=row.id,
            kind=SessionKind.extractor,
            label="Learnings",
            model=row.model or self.settings.default_model,
            thinking_effort=row.thinking_effort,
            system=extractor_system(row),
            max_turns=MAX_TURNS,
        )
        session.add(agent)
        await session.flush()
        first = Message(
            session_id=agent.id, sequence=0, role=MessageRole.user, content=[{"type": "text", "text": prompt}]
        )
        session.add(first)
        row.current_step_label = agent.label
        return agent


async def _load_known_learnings(session: AsyncSession, project_id: str) -> list[str]:
    statement = (
        select(col(Learning.description))
        .where(col(Learning.project_id) == project_id, col(Learning.deleted_at).is_(None))
        .order_by(col(Learning.id).desc())
        .limit(MAX_KNOWN_LEARNINGS)
    )
    return [truncate(each, MAX_KNOWN_LEARNING_CHARS) for each in (await session.execute(statement)).scalars()]
