"""What an agent is told when its sandbox was lost: its interrupted calls are answered, never repeated."""

from datetime import datetime
from typing import Final

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.agent.tool_calls import tool_call_event_data
from kit.database import Database
from models import AgentSession, Message, RunStep, Sandbox, ToolCall
from models.base import JsonObject
from models.event import EventType, append_event
from models.jobs.job_lookup import get_job
from models.sandboxes.loss import Loss, find_loss

INTERRUPTED_NOTICE: Final = (
    "This call was interrupted and is not repeated, as its sandbox was lost. What it does outside of the "
    "sandbox, such as a push, a publication or a request, may have happened, in part or in whole: find out "
    "before you do it again."
)
NOT_FINISHED_NOTICE: Final = "Not finished: the sandbox was lost before your last changes were saved."


class LostTurn(BaseModel):
    """A turn under whose calls, or after whose calls, the sandbox was lost."""

    session_id: str
    sequence: int
    """Of the assistant's message that asked for the calls."""
    sandbox_id: str
    """Of the one that was lost."""
    replacement: str
    """Of the one that its agent goes on in."""


class SandboxLossActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def answer_lost_calls(self, turn: LostTurn) -> bool:
        """Give every call of a turn that has no result yet one that says what was lost; False without any.

        Killed after the commit, the second execution finds the results and says the same.  A call whose own
        activity still runs somewhere, on a frozen worker, comes too late: its result is there.
        """
        async with self.database.transaction() as session:
            agent = await session.get_one(AgentSession, turn.session_id)
            job = await get_job(session, agent.job_id, lock=True)
            sandbox = await session.get_one(Sandbox, turn.sandbox_id)
            if agent.step_id is not None:
                step = await session.get_one(RunStep, agent.step_id, with_for_update=True)
                step.move_to_sandbox(turn.replacement)
            notice = loss_notice(await find_loss(session, sandbox))
            results = await _load_results(session, turn)
            for block in await _load_call_blocks(session, turn):
                if block["id"] in results:
                    continue
                given = block["input"]
                assert isinstance(given, dict)
                call = ToolCall(
                    session_id=agent.id,
                    sequence=turn.sequence,
                    tool_use_id=str(block["id"]),
                    name=str(block["name"]),
                    result="\n\n".join(
                        (NOT_FINISHED_NOTICE if block["name"] == "finish" else INTERRUPTED_NOTICE, notice)
                    ),
                    is_error=True,
                    duration_ms=0,
                )
                session.add(call)
                results[call.tool_use_id] = call.result
                if not job.is_finished:
                    append_event(session, job, EventType.tool_completed, tool_call_event_data(call, given))
        return any(text.startswith((INTERRUPTED_NOTICE, NOT_FINISHED_NOTICE)) for text in results.values())


def loss_notice(loss: Loss) -> str:
    """What the agent has to know to go on."""
    origin = (
        "from the branch as it was when the work in it began, as no checkpoint had been taken"
        if loss.checkpoint_at is None
        else f"from the checkpoint of {_format_utc(loss.checkpoint_at)}"
    )
    return (
        f"The sandbox was lost at {_format_utc(loss.at)}. You go on in a new one, made {origin}. "
        f"Everything that was changed in the old one after {_format_utc(loss.since)} is gone: files, "
        "installed packages, running processes, and also what calls did whose results say that they "
        "succeeded. Look at what is there before you go on, and do again what is missing."
    )


def _format_utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


async def _load_call_blocks(session: AsyncSession, turn: LostTurn) -> list[JsonObject]:
    """The blocks of the turn that ask for a call."""
    statement = select(Message).where(
        col(Message.session_id) == turn.session_id, col(Message.sequence) == turn.sequence
    )
    message: Message = (await session.execute(statement)).scalar_one()
    return [block for block in message.content if block["type"] == "tool_use"]


async def _load_results(session: AsyncSession, turn: LostTurn) -> dict[str, str]:
    """The results that the turn's calls have, by the call's id."""
    statement = select(ToolCall).where(
        col(ToolCall.session_id) == turn.session_id, col(ToolCall.sequence) == turn.sequence
    )
    found = (await session.execute(statement)).scalars()
    return {call.tool_use_id: call.result for call in found}
