"""A session's conversation in the database, read as the model is told it; and what the user adds to it."""

from typing import NamedTuple

from sqlalchemy import Exists, select
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
    """A session with its run and its step."""

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
    has_queued: bool
    """A client's message waits that no agent was told yet."""

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


async def load(session: AsyncSession, session_id: str, place: int, *, lock: bool = False) -> Held:
    """A session, its run and step, and the message at a place.

    lock: hold the run's row until the commit, so that each place is filled and each event appended once.
    """
    at_place = (col(MessageRow.session_id) == AgentSession.id) & (col(MessageRow.sequence) == place)
    statement = (
        select(AgentSession, Run, RunStep, _waiting(Run.id), MessageRow)
        .join(Run, col(Run.id) == AgentSession.run_id)
        .join(RunStep, col(RunStep.id) == AgentSession.step_id)
        .outerjoin(MessageRow, at_place)
        .where(col(AgentSession.id) == session_id)
    )
    if lock:
        statement = statement.with_for_update(of=Run)
    return Held(*(await session.execute(statement)).one())


async def read(session: AsyncSession, agent: AgentSession) -> Conversation:
    of_session = col(MessageRow.session_id) == agent.id
    rows = select(MessageRow).where(of_session).order_by(col(MessageRow.sequence))
    calls = select(ToolCall).where(col(ToolCall.session_id) == agent.id)
    return Conversation(
        {row.sequence: row for row in (await session.execute(rows)).scalars()},
        list((await session.execute(calls)).scalars()),
        bool((await session.execute(select(_waiting(agent.run_id)))).scalar()),
    )


def _waiting(run_id: object) -> Exists:
    """Whether a client's message to the run is queued."""
    queued = (col(FollowUp.run_id) == run_id) & (col(FollowUp.status) == FollowUpStatus.queued)
    return select(col(FollowUp.id)).where(queued).exists()


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


def user_adds(conversation: Conversation, turn: int, nudge: bool) -> bool:
    """Whether there is anything to add before a turn that was not added yet."""
    wanted = nudge or conversation.has_queued or _was_cut_off(conversation, turn)
    return wanted and addition_place(turn) not in conversation.rows


def _was_cut_off(conversation: Conversation, turn: int) -> bool:
    before = conversation.rows.get(answer_place(turn - 1))
    return before is not None and before.stop_reason == "max_tokens"


async def add_user_words(
    session: AsyncSession, held: Held, conversation: Conversation, turn: int, nudge: bool
) -> None:
    """What the user adds before a turn, to the rows and to `conversation`; the run's row is locked."""
    place = addition_place(turn)
    statement = select(MessageRow).where(
        col(MessageRow.session_id) == held.agent.id, col(MessageRow.sequence) == place
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        words = [CUT_OFF] if _was_cut_off(conversation, turn) else [NUDGE] if nudge else []
        for message in await queued(session, held.run.id):
            words.append(f'<message from="user">\n{message.content}\n</message>')
            message.status, message.sequence = FollowUpStatus.delivered, place
            message.session_id = held.agent.id
            append(session, held.run, EventType.message_received, {"messageId": message.id})
        content: list[JsonObject] = [{"type": "text", "text": "\n\n".join(words)}]
        row = MessageRow(session_id=held.agent.id, sequence=place, role=MessageRole.user, content=content)
        session.add(row)
    conversation.rows[place] = row
