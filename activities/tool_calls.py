"""One tool call is one activity, with one effect: the sandbox keeps a journal under the call's id."""

from typing import NamedTuple

from pydantic import BaseModel, JsonValue
from sqlalchemy import Insert, func, select, update
from sqlalchemy.dialects import postgresql
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.outside import Outside, outside
from activities.sandboxes import attach
from gateways.tools import ToolRequest, parse
from kit import logs
from kit.database import Database
from models import AgentSession, Message, Run, Sandbox, ToolCall
from models.base import JsonObject, now
from models.event import EventType, appended

TOOL_SECONDS = 1_800
"""The longest that one tool call may take; the model is told when it was ended."""
SHOWN_RESULT = 2_000
"""Characters of a result that its event carries."""


class ToolCallInput(BaseModel):
    session_id: str
    sandbox_id: str
    sequence: int
    """Of the assistant's message that holds the call."""
    tool_use_id: str


class ToolCalls:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def tool_call(self, call: ToolCallInput) -> None:
        """Carry out a tool call in the sandbox and store its result.

        Killed before the call was sent, it is sent again; killed while it runs, the second execution waits
        for the very same process in the sandbox; killed before the result is stored, the journal tells it
        again; killed after, the stored result ends the second execution at once.
        """
        async with self.database.statements() as session:
            agent, message, sandbox, stored = await _load(session, call)
            logs.bind(run_id=agent.run_id)
            if stored:
                return
            credentials = await self.outside.credentials(session, agent.project_id)
        block = next(block for block in message.content if block.get("id") == call.tool_use_id)
        name, given = str(block["name"]), block["input"]
        assert isinstance(given, dict)
        request = parse(agent.role.kind, name, given)
        assert isinstance(request, ToolRequest), "what needs no sandbox was answered with the turn"
        with outside():
            handle = await attach(self.outside, credentials, sandbox)
            result = await handle.tool(
                call.tool_use_id,
                request.wire(),
                envs=credentials.command_environment,
                timeout_seconds=TOOL_SECONDS,
            )
        text = credentials.scrubber.text(result.content)
        row = ToolCall(
            session_id=call.session_id, sequence=call.sequence, tool_use_id=call.tool_use_id, name=name,
            result=text, is_error=result.is_error, duration_ms=result.duration_ms,
        )  # fmt: skip
        data: JsonObject = {
            "sessionId": call.session_id, "toolUseId": call.tool_use_id, "name": name,
            "input": shortened(given), "result": text[:SHOWN_RESULT], "isError": result.is_error,
            "durationMs": result.duration_ms,
        }  # fmt: skip
        async with self.database.statements() as session:
            await session.execute(_store(agent.run_id, row, data))


def _store(run_id: str, row: ToolCall, data: JsonObject) -> Insert:
    """Result, progress and event as one statement, which does nothing if the result is there already."""
    stored = (
        postgresql.insert(ToolCall)
        .values(**row.model_dump())
        .on_conflict_do_nothing()
        .returning(col(ToolCall.name))
        .cte("stored")
    )
    bumped = (
        update(Run)
        .where(col(Run.id) == run_id, select(stored.c.name).exists())
        .values(
            event_seq=Run.event_seq + 1,
            current_step_progress=func.concat(Run.current_step_label, ": ", row.name),
            last_progress_at=now(),
            waiting=None,
        )
        .returning(col(Run.project_id), col(Run.id), col(Run.event_seq))
        .cte("bumped")
    )
    return appended(bumped, EventType.tool_completed, data)


def shortened(given: dict[str, JsonValue]) -> dict[str, object]:
    """A call's input as its event shows it: long texts cut."""
    return {key: value[:SHOWN_RESULT] if isinstance(value, str) else value for key, value in given.items()}


class _Loaded(NamedTuple):
    agent: AgentSession
    message: Message
    sandbox: Sandbox
    stored: ToolCall | None


async def _load(session: AsyncSession, call: ToolCallInput) -> _Loaded:
    statement = (
        select(AgentSession, Message, Sandbox, ToolCall)
        .join(
            Message, (col(Message.session_id) == AgentSession.id) & (col(Message.sequence) == call.sequence)
        )
        .join(Sandbox, col(Sandbox.id) == call.sandbox_id)
        .outerjoin(
            ToolCall,
            (col(ToolCall.session_id) == AgentSession.id) & (col(ToolCall.tool_use_id) == call.tool_use_id),
        )
        .where(col(AgentSession.id) == call.session_id)
    )
    return _Loaded(*(await session.execute(statement)).one())
