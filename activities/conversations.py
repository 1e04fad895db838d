"""A session's conversation in the database, read as the model is told it; and what the user adds to it."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from gateways.conversation import AssistantTurn, Compaction, Entry, Message, ToolResult, UserText, assemble
from models import FollowUp, Run, ToolCall
from models import Message as MessageRow
from models.agent_session import FollowUpStatus, MessageRole, addition_place, answer_place
from models.base import JsonObject
from models.event import EventType, append

CUT_OFF = (
    "Your last answer was cut off at its limit. Calls that were not whole were not carried out: send them "
    "again, in smaller pieces."
)
NUDGE = "Go on with the task. When nothing is left to do, end by calling the `finish` tool, alone."


async def message_at(session: AsyncSession, session_id: str, sequence: int) -> MessageRow | None:
    statement = select(MessageRow).where(
        col(MessageRow.session_id) == session_id, col(MessageRow.sequence) == sequence
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def read(session: AsyncSession, session_id: str) -> list[Message]:
    """The conversation so far, as the Messages API takes it."""
    rows = (
        select(MessageRow).where(col(MessageRow.session_id) == session_id).order_by(col(MessageRow.sequence))
    )
    calls = select(ToolCall).where(col(ToolCall.session_id) == session_id)
    entries: list[Entry] = [_entry(row) for row in (await session.execute(rows)).scalars()]
    entries += [
        ToolResult(tool_use_id=call.tool_use_id, content=call.result, is_error=call.is_error)
        for call in (await session.execute(calls)).scalars()
    ]
    return assemble(entries)


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


async def add_user_words(session: AsyncSession, run: Run, session_id: str, turn: int, nudge: bool) -> None:
    """What the user adds before a turn; the caller holds the run's row, so it is added once."""
    place = addition_place(turn)
    if await message_at(session, session_id, place):
        return
    before = await message_at(session, session_id, answer_place(turn - 1))
    words = [CUT_OFF] if before and before.stop_reason == "max_tokens" else [NUDGE] if nudge else []
    for message in await queued(session, run.id):
        words.append(f'<message from="user">\n{message.content}\n</message>')
        message.status, message.session_id, message.sequence = FollowUpStatus.delivered, session_id, place
        await append(session, run, EventType.message_received, {"messageId": message.id})
    if words:
        content: list[JsonObject] = [{"type": "text", "text": "\n\n".join(words)}]
        session.add(MessageRow(session_id=session_id, sequence=place, role=MessageRole.user, content=content))
