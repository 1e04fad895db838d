"""What the user adds to a conversation before a turn: messages to the job, and words of our own."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.agent.conversation import Conversation
from activities.agent.sandbox_losses import loss_notice
from models import AgentSession, FollowUp, Sandbox
from models import Message as MessageRow
from models.agent.sections import trusted_section
from models.agent.session import FollowUpStatus, MessageRole, MessageSource, addition_sequence, turn_sequence
from models.agent.transcript import StoredMessage
from models.assets.slash_commands import expand_job_commands
from models.base import JsonObject
from models.event import EventType, append_event
from models.jobs.job_lookup import get_job
from models.sandboxes.loss import find_loss

TRUNCATION_NOTICE = (
    "Your last answer was cut off at its limit. Calls that were not whole were not carried out: send them "
    "again, in smaller pieces."
)
CONTINUE_PROMPT = "Go on with the task. When nothing is left to do, end by calling the `finish` tool, alone."


async def has_queued_messages(session: AsyncSession, job_id: str) -> bool:
    """Whether a client's message waits that no agent was told yet."""
    waiting = select(col(FollowUp.id)).where(
        col(FollowUp.job_id) == job_id, col(FollowUp.status) == FollowUpStatus.queued
    )
    return (await session.execute(waiting.limit(1))).first() is not None


async def load_queued_messages(session: AsyncSession, job_id: str) -> list[FollowUp]:
    """The client's messages that no agent was told yet, oldest first."""
    statement = (
        select(FollowUp)
        .where(col(FollowUp.job_id) == job_id, col(FollowUp.status) == FollowUpStatus.queued)
        .order_by(col(FollowUp.id))
    )
    return list((await session.execute(statement)).scalars())


def has_user_input(conversation: Conversation, turn: int, has_words: bool) -> bool:
    """Whether there is anything to add before a turn that was not added yet; has_words: of our own."""
    wanted = has_words or conversation.has_queued or _was_truncated(conversation, turn)
    return wanted and addition_sequence(turn) not in conversation.stored


def _was_truncated(conversation: Conversation, turn: int) -> bool:
    before = conversation.stored.get(turn_sequence(turn - 1))
    return before is not None and before.stop_reason == "max_tokens"


async def append_user_message(
    session: AsyncSession,
    agent: AgentSession,
    conversation: Conversation,
    turn: int,
    nudge: bool,
    lost_sandbox: str | None = None,
) -> None:
    """What the user adds before a turn, once, to the rows and to `conversation`."""
    job = await get_job(session, agent.job_id, lock=True)
    place = addition_sequence(turn)
    statement = select(MessageRow).where(
        col(MessageRow.session_id) == agent.id, col(MessageRow.sequence) == place
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        words = (
            [TRUNCATION_NOTICE] if _was_truncated(conversation, turn) else [CONTINUE_PROMPT] if nudge else []
        )
        if lost_sandbox is not None:
            sandbox = await session.get_one(Sandbox, lost_sandbox)
            words.append(loss_notice(await find_loss(session, sandbox)))
        messages = [] if job.is_finished else await load_queued_messages(session, job.id)
        for message in messages:
            words.append(trusted_section("message", message.content, **{"from": message.source.value}))
            message.deliver(agent.id, place)
            append_event(session, job, EventType.message_received, {"messageId": message.id})
        commanding = [each.content for each in messages if each.source is MessageSource.user]
        words += await expand_job_commands(session, job.id, *commanding)
        content: list[JsonObject] = [{"type": "text", "text": "\n\n".join(words)}]
        row = MessageRow(session_id=agent.id, sequence=place, role=MessageRole.user, content=content)
        session.add(row)
    conversation.stored[place] = StoredMessage(place, row.role, row.content)
