"""A session's conversation in the database, read as the model is told it.

What every turn reads and writes goes past the ORM (`kit.direct`): it is most of what a run costs by itself.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateways.conversation import AssistantTurn, Compaction, Entry, Message, ToolResult, UserText, assemble
from kit.direct import Direct
from models import AgentSession, RunStep
from models.agent_session import MessageRole
from models.base import JsonObject
from models.jobs import table_of
from models.run_step import Verdict


class Speaker(NamedTuple):
    """Who talks about what: what never changes about a session, so that it may be kept."""

    agent: AgentSession
    step: RunStep | None
    """Of a run, as it was when it began."""
    chain_id: str | None


class Standing(NamedTuple):
    """Where a session and its job are now."""

    cost_usd: float
    """Of the whole job so far."""
    finished: bool
    verdict: Verdict | None

    @classmethod
    def of(cls, cost_usd: float, result: JsonObject | None) -> "Standing":
        """result: what the agent finished with."""
        verdict = (result or {}).get("verdict")
        return cls(cost_usd, result is not None, Verdict(str(verdict)) if verdict else None)


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

    def with_answer(self, answer: Said, results: Sequence[ToolResult], standing: Standing) -> "Conversation":
        """The same and an answer that was just stored, with the results of what needs no sandbox."""
        said = {**self.said, answer.sequence: answer}
        return self._replace(said=said, results=[*self.results, *results], standing=standing)

    def messages(self) -> list[Message]:
        """As the Messages API takes them."""
        return assemble([*map(_entry, self.said.values()), *self.results])


_SPEAKER: Final = """
    SELECT to_jsonb(agent_session), to_jsonb(run_step), run.chain_id
    FROM agent_session
    LEFT JOIN run_step ON run_step.id = agent_session.step_id
    LEFT JOIN run ON run.id = agent_session.job_id
    WHERE agent_session.id = %(session)s
"""


async def speaker(direct: Direct, session_id: str) -> Speaker:
    [[agent, step, chain_id]] = await direct.fetch(_SPEAKER, {"session": session_id})
    begun = RunStep.model_validate(step) if step else None
    return Speaker(AgentSession.model_validate(agent), begun, chain_id)


_READ: Final = """
    SELECT
      (SELECT coalesce(json_agg(
           json_build_array(sequence, role, content, compaction_point, stop_reason, usage) ORDER BY sequence
         ), '[]') FROM message WHERE session_id = %(session)s),
      (SELECT coalesce(json_agg(json_build_array(tool_use_id, result, is_error)), '[]')
         FROM tool_call WHERE session_id = %(session)s),
      EXISTS (SELECT FROM follow_up WHERE run_id = %(job)s AND status = 'queued'),
      (SELECT cost_usd::float8 FROM {job} WHERE id = %(job)s), agent_session.result
    FROM agent_session WHERE id = %(session)s
"""


async def read(direct: Direct, agent: AgentSession) -> Conversation:
    statement = _READ.format(job=table_of(agent.job_id))
    keys = {"session": agent.id, "job": agent.job_id}
    [[said, results, has_queued, cost, result]] = await direct.fetch(statement, keys)
    return Conversation(
        {row[0]: Said(row[0], MessageRole(row[1]), *row[2:]) for row in said},
        [ToolResult(tool_use_id=call, content=text, is_error=failed) for call, text, failed in results],
        has_queued,
        Standing.of(cost, result),
    )


def _entry(said: Said) -> Entry:
    if said.role is MessageRole.assistant:
        return AssistantTurn.model_validate({"blocks": said.content})
    text = "\n\n".join(str(block["text"]) for block in said.content)
    if said.role is MessageRole.compaction and said.compaction_point is not None:
        return Compaction(point=said.compaction_point, summary=text)
    return UserText(text=text)
