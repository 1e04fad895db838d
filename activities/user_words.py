"""What the user adds to a conversation before a turn: messages of the client, and words of our own."""

from typing import Final

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.conversations import Conversation, Said
from kit.direct import Direct
from models import AgentSession, FollowUp
from models import Message as MessageRow
from models.agent_session import FollowUpStatus, MessageRole, addition_place, answer_place
from models.base import JsonObject
from models.event import EventType, append
from models.jobs import job_of

CUT_OFF = (
    "Your last answer was cut off at its limit. Calls that were not whole were not carried out: send them "
    "again, in smaller pieces."
)
NUDGE = "Go on with the task. When nothing is left to do, end by calling the `finish` tool, alone."

_HAS_QUEUED: Final = "SELECT EXISTS (SELECT FROM follow_up WHERE run_id = %(job)s AND status = 'queued')"


async def has_queued(direct: Direct, job_id: str) -> bool:
    """Whether a client's message waits that no agent was told yet."""
    [[waits]] = await direct.fetch(_HAS_QUEUED, {"job": job_id})
    return bool(waits)


async def queued(session: AsyncSession, job_id: str) -> list[FollowUp]:
    """The client's messages that no agent was told yet, oldest first."""
    statement = (
        select(FollowUp)
        .where(col(FollowUp.run_id) == job_id, col(FollowUp.status) == FollowUpStatus.queued)
        .order_by(col(FollowUp.id))
    )
    return list((await session.execute(statement)).scalars())


def user_adds(conversation: Conversation, turn: int, nudge: bool) -> bool:
    """Whether there is anything to add before a turn that was not added yet."""
    wanted = nudge or conversation.has_queued or _was_cut_off(conversation, turn)
    return wanted and addition_place(turn) not in conversation.said


def _was_cut_off(conversation: Conversation, turn: int) -> bool:
    before = conversation.said.get(answer_place(turn - 1))
    return before is not None and before.stop_reason == "max_tokens"


async def add_user_words(
    session: AsyncSession, agent: AgentSession, conversation: Conversation, turn: int, nudge: bool
) -> None:
    """What the user adds before a turn, once, to the rows and to `conversation`."""
    job = await job_of(session, agent.job_id, lock=True)
    place = addition_place(turn)
    statement = select(MessageRow).where(
        col(MessageRow.session_id) == agent.id, col(MessageRow.sequence) == place
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        words = [CUT_OFF] if _was_cut_off(conversation, turn) else [NUDGE] if nudge else []
        for message in await queued(session, job.id):
            words.append(f'<message from="user">\n{message.content}\n</message>')
            message.status, message.sequence = FollowUpStatus.delivered, place
            message.session_id = agent.id
            append(session, job, EventType.message_received, {"messageId": message.id})
        content: list[JsonObject] = [{"type": "text", "text": "\n\n".join(words)}]
        row = MessageRow(session_id=agent.id, sequence=place, role=MessageRole.user, content=content)
        session.add(row)
    conversation.said[place] = Said(place, row.role, row.content)
