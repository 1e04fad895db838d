"""A session's conversation in the database, read as the model is told it.

What every turn reads and writes goes past the ORM (`kit.direct`): it is most of what a run costs by itself.
"""

from typing import NamedTuple

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from gateways.conversation import AssistantTurn, Compaction, Entry, Message, ToolResult, UserText, assemble
from kit.direct import Direct
from models import AgentSession, Run, RunStep
from models.agent_session import MessageRole
from models.base import JsonObject
from models.run_step import StepStatus, Verdict


class Speaker(NamedTuple):
    """Who talks about which step: what never changes about a session, so that it may be kept."""

    agent: AgentSession
    step: RunStep
    """As it was when it began."""
    chain_id: str | None


class Standing(NamedTuple):
    """Where a session's run and step are now."""

    cost_usd: float
    """Of the whole run so far."""
    finished: bool
    verdict: Verdict | None


class Said(NamedTuple):
    """A stored message, as far as a turn needs it."""

    sequence: int
    role: MessageRole
    content: list[JsonObject]
    compaction_point: int | None = None
    stop_reason: str | None = None
    usage: dict[str, int] | None = None


class Conversation(NamedTuple):
    said: dict[int, Said]
    """By sequence, in order."""
    results: list[ToolResult]
    has_queued: bool
    """A client's message waits that no agent was told yet."""
    standing: Standing

    @property
    def answered(self) -> set[str]:
        """The ids of calls that have a result."""
        return {result.tool_use_id for result in self.results}

    def messages(self) -> list[Message]:
        """As the Messages API takes them."""
        return assemble([*map(_entry, self.said.values()), *self.results])


async def speaker(session: AsyncSession, session_id: str) -> Speaker:
    statement = (
        select(AgentSession, RunStep, col(Run.chain_id))
        .join(RunStep, col(RunStep.id) == AgentSession.step_id)
        .join(Run, col(Run.id) == AgentSession.run_id)
        .where(col(AgentSession.id) == session_id)
    )
    return Speaker(*(await session.execute(statement)).one())


_READ = """
    SELECT
      (SELECT coalesce(json_agg(
           json_build_array(sequence, role, content, compaction_point, stop_reason, usage) ORDER BY sequence
         ), '[]') FROM message WHERE session_id = %(session)s),
      (SELECT coalesce(json_agg(json_build_array(tool_use_id, result, is_error)), '[]')
         FROM tool_call WHERE session_id = %(session)s),
      EXISTS (SELECT FROM follow_up WHERE run_id = run.id AND status = 'queued'),
      run.cost_usd::float8, run_step.status, run_step.verdict
    FROM run, run_step WHERE run.id = %(run)s AND run_step.id = %(step)s
"""


async def read(direct: Direct, agent: AgentSession) -> Conversation:
    keys = {"session": agent.id, "run": agent.run_id, "step": agent.step_id}
    [[said, results, has_queued, cost, status, verdict]] = await direct.fetch(_READ, keys)
    return Conversation(
        {row[0]: Said(row[0], MessageRole(row[1]), *row[2:]) for row in said},
        [ToolResult(tool_use_id=call, content=text, is_error=failed) for call, text, failed in results],
        has_queued,
        Standing(cost, status == StepStatus.completed, Verdict(verdict) if verdict else None),
    )


def _entry(said: Said) -> Entry:
    if said.role is MessageRole.assistant:
        return AssistantTurn.model_validate({"blocks": said.content})
    text = "\n\n".join(str(block["text"]) for block in said.content)
    if said.role is MessageRole.compaction and said.compaction_point is not None:
        return Compaction(point=said.compaction_point, summary=text)
    return UserText(text=text)
