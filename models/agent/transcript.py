"""A session's transcript, read as one statement, as every turn reads all of it."""

from typing import Final, NamedTuple

from kit.sql_pool import SqlPool
from models.agent.session import AgentSession, MessageRole
from models.base import JsonObject

_READ_TRANSCRIPT: Final = """
    SELECT
        (SELECT coalesce(json_agg(
                json_build_array(sequence, role, content, compaction_point, stop_reason, usage)
                ORDER BY sequence), '[]')
            FROM message WHERE session_id = agent_session.id),
        (SELECT coalesce(json_agg(
                json_build_array(sequence, tool_use_id, result, is_error) ORDER BY sequence, id), '[]')
            FROM tool_call WHERE session_id = agent_session.id),
        EXISTS (SELECT FROM follow_up WHERE job_id = agent_session.job_id AND status = 'queued')
    FROM agent_session WHERE id = %(session_id)s
"""


class StoredMessage(NamedTuple):
    """A `Message`, as far as a turn needs it."""

    sequence: int
    role: MessageRole
    content: list[JsonObject]
    compaction_point: int | None = None
    stop_reason: str | None = None
    usage: dict[str, int] | None = None


class StoredResult(NamedTuple):
    """A `ToolCall`, as far as a turn needs it."""

    sequence: int
    """Of the message that asked for it: models may use an id again in a later one."""
    tool_use_id: str
    result: str
    is_error: bool


class Transcript(NamedTuple):
    messages: list[StoredMessage]
    """In order."""
    results: list[StoredResult]
    """In order of the messages that asked for them."""
    has_queued: bool
    """A client's message waits that no agent was told yet."""


async def load_transcript(sql: SqlPool, agent: AgentSession) -> Transcript:
    """All that was said and done in a session."""
    [[messages, results, has_queued]] = await sql.fetch(_READ_TRANSCRIPT, {"session_id": agent.id})
    return Transcript(
        [StoredMessage(row[0], MessageRole(row[1]), *row[2:]) for row in messages],
        [StoredResult(*row) for row in results],
        has_queued,
    )
