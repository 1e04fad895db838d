"""A session's transcript as the conversation that its model is told."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlmodel import col

from gateways.anthropic.conversation import (
    AssistantTurn,
    Compaction,
    Entry,
    Message,
    ToolResult,
    UserText,
    assemble,
)
from kit.database import Database
from models import AgentSession, LearningExtraction, Run, RunStep
from models.agent.session import MessageRole
from models.agent.transcript import StoredMessage, StoredResult, load_transcript


class SessionContext(NamedTuple):
    """Who talks about what: what never changes about a session, so that it may be kept."""

    agent: AgentSession
    step: RunStep | None
    """Of a run, as it was when it began."""
    chain_id: str | None
    run_id: str | None = None
    """The run that pays: the one it works for, or whose transcript it reads."""


class Conversation(NamedTuple):
    stored: dict[int, StoredMessage]
    """By sequence, in order."""
    results: list[StoredResult]
    has_queued: bool
    """A client's message waits that no agent was told yet."""

    def answered_call_ids(self, sequence: int) -> set[str]:
        """The ids of the calls of this message that have a result."""
        return {result.tool_use_id for result in self.results if result.sequence == sequence}

    def with_turn(self, answer: StoredMessage, results: Sequence[StoredResult]) -> "Conversation":
        """The same and an answer that was just stored, with the results of what needs no sandbox."""
        stored = {**self.stored, answer.sequence: answer}
        return self._replace(stored=stored, results=[*self.results, *results])

    def messages(self) -> list[Message]:
        """As the Messages API takes them."""
        return assemble(self._entries(self.stored.values()))

    def transcript(self) -> list[Message]:
        """The same, with all that summaries have taken the place of."""
        spoken = [each for each in self.stored.values() if each.role is not MessageRole.compaction]
        return assemble(self._entries(spoken))

    def _entries(self, messages: Iterable[StoredMessage]) -> list[Entry]:
        """Each message, followed by the results of the calls that it asks for."""
        results = defaultdict(list)
        for each in self.results:
            result = ToolResult(tool_use_id=each.tool_use_id, content=each.result, is_error=each.is_error)
            results[each.sequence].append(result)
        return [entry for message in messages for entry in (_to_entry(message), *results[message.sequence])]


async def load_session_context(database: Database, session_id: str) -> SessionContext:
    """Who talks in a session, for whom, and who pays for it."""
    statement = (
        select(AgentSession, RunStep, col(Run.chain_id), col(Run.id))
        .outerjoin(RunStep, col(RunStep.id) == col(AgentSession.step_id))
        .outerjoin(LearningExtraction, col(LearningExtraction.id) == col(AgentSession.job_id))
        .outerjoin(
            Run, col(Run.id) == func.coalesce(col(LearningExtraction.run_id), col(AgentSession.job_id))
        )
        .where(col(AgentSession.id) == session_id)
    )
    async with database.read_only() as session:
        agent, step, chain_id, run_id = (await session.execute(statement)).one()
    return SessionContext(agent, step, chain_id, run_id)


async def load_conversation(database: Database, agent: AgentSession) -> Conversation:
    """All of it as it is now."""
    transcript = await load_transcript(database.sql, agent)
    return Conversation(
        {message.sequence: message for message in transcript.messages},
        transcript.results,
        transcript.has_queued,
    )


def _to_entry(message: StoredMessage) -> Entry:
    if message.role is MessageRole.assistant:
        return AssistantTurn.model_validate({"blocks": message.content})
    text = "\n\n".join(str(block["text"]) for block in message.content if block["type"] == "text")
    if message.role is MessageRole.compaction and message.compaction_point is not None:
        return Compaction(point=message.compaction_point, summary=text)
    images = [block for block in message.content if block["type"] == "image"]
    return UserText.model_validate({"text": text, "images": images})
