"""The transcript of a run as one text of a bounded size, as it is stored: without secrets and thoughts."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import defer
from sqlmodel import col

from activities.agent.conversation import load_conversation
from gateways.anthropic.conversation import to_record, truncate
from kit.database import Database
from models import AgentSession

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
    async with database.reading() as session:
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
