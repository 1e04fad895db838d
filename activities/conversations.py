"""A session's conversation in the database, read as the model is told it; and what the user adds to it."""

from typing import NamedTuple

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from gateways.conversation import AssistantTurn, Compaction, Entry, Message, ToolResult, UserText, assemble
from models import AgentSession, FollowUp, Run, RunStep, ToolCall
from models import Message as MessageRow
from models.agent_session import FollowUpStatus, MessageRole, addition_place, answer_place
from models.base import JsonObject
from models.event import EventType, append

CUT_OFF = (
    "Your last answer was cut off at its limit. Calls that were not whole were not carried out: send them "
    "again, in smaller pieces."
)
NUDGE = "Go on with the task. When nothing is left to do, end by calling the `finish` tool, alone."


class Held(NamedTuple):
    """A session with its run, whose row is locked until the commit, and its step."""

    agent: AgentSession
    run: Run
    step: RunStep
    has_queued: bool
    """A client's message waits that no agent was told yet."""
    message: MessageRow | None
    """What is at the asked place already."""


class Conversation(NamedTuple):
    rows: dict[int, MessageRow]
    """By sequence, in order."""
    calls: list[ToolCall]

    @property
    def answered(self) -> set[str]:
        """The ids of calls that have a result."""
        return {call.tool_use_id for call in self.calls}

    def messages(self) -> list[Message]:
        """As the Messages API takes them."""
        entries: list[Entry] = [_entry(row) for row in self.rows.values()]
        entries += [
            ToolResult(tool_use_id=call.tool_use_id, content=call.result, is_error=call.is_error)
            for call in self.calls
        ]
        return assemble(entries)


async def hold(session: AsyncSession, session_id: str, place: int) -> Held:
    """Load a session and the message at a place, and lock the run, so that each place is filled once."""
    waiting = select(col(FollowUp.id)).where(
        col(FollowUp.run_id) == Run.id, col(FollowUp.status) == FollowUpStatus.queued
    )
    at_place = (col(MessageRow.session_id) == AgentSession.id) & (col(MessageRow.sequence) == place)
    statement = (
        select(AgentSession, Run, RunStep, waiting.exists(), MessageRow)
        .join(Run, col(Run.id) == AgentSession.run_id)
        .join(RunStep, col(RunStep.id) == AgentSession.step_id)
        .outerjoin(MessageRow, at_place)
        .where(col(AgentSession.id) == session_id)
        .with_for_update(of=Run)
    )
    return Held(*(await session.execute(statement)).one())


async def read(session: AsyncSession, session_id: str) -> Conversation:
    of_session = col(MessageRow.session_id) == session_id
    rows = select(MessageRow).where(of_session).order_by(col(MessageRow.sequence))
    calls = select(ToolCall).where(col(ToolCall.session_id) == session_id)
    return Conversation(
        {row.sequence: row for row in (await session.execute(rows)).scalars()},
        list((await session.execute(calls)).scalars()),
    )


def _entry(row: MessageRow) -> Entry:
    if row.role is MessageRole.assistant:
        return AssistantTurn.model_validate({"blocks": row.content})
    text = "\n\n".join(str(block["text"]) for block in row.content)
    if row.role is MessageRole.compaction and row.compaction_point is not None:
        return Compaction(point=row.compaction_point, summary=text)
    return UserText(text=text)


async def queued(session: AsyncSession, run_id: str) -> list[FollowUp]:
    """The client's messages that no agent was told yet, oldest first."""
    statement = (
        select(FollowUp)
        .where(col(FollowUp.run_id) == run_id, col(FollowUp.status) == FollowUpStatus.queued)
        .order_by(col(FollowUp.id))
    )
    return list((await session.execute(statement)).scalars())


async def add_user_words(
    session: AsyncSession, held: Held, conversation: Conversation, turn: int, nudge: bool
) -> None:
    """What the user adds before a turn, to the rows and to `conversation`; it is added once."""
    place = addition_place(turn)
    if place in conversation.rows:
        return
    before = conversation.rows.get(answer_place(turn - 1))
    words = [CUT_OFF] if before and before.stop_reason == "max_tokens" else [NUDGE] if nudge else []
    for message in await queued(session, held.run.id) if held.has_queued else []:
        words.append(f'<message from="user">\n{message.content}\n</message>')
        message.status, message.sequence = FollowUpStatus.delivered, place
        message.session_id = held.agent.id
        append(session, held.run, EventType.message_received, {"messageId": message.id})
    if words:
        content: list[JsonObject] = [{"type": "text", "text": "\n\n".join(words)}]
        row = MessageRow(session_id=held.agent.id, sequence=place, role=MessageRole.user, content=content)
        session.add(row)
        conversation.rows[place] = row
