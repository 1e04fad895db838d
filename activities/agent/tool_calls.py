"""One tool call is one activity, with one effect: the sandbox keeps a journal of it."""

import asyncio
from functools import partial
from typing import NamedTuple

from pydantic import BaseModel, JsonValue
from sqlalchemy import select
from sqlmodel import col
from temporalio import activity

from activities.gateway_factory import GatewayFactory, external_call
from activities.issues.reports import report_issue
from activities.jobs.lifecycle import TimedResult, bind_job
from activities.jobs.resumption import note_already_done
from activities.learnings.reports import report_learning
from gateways.learnings.report import ReportLearning
from gateways.sandboxes.sandbox import ToolResult
from gateways.tools.definitions import ReportIssue, ToolRequest, parse
from kit.crypto import digest
from kit.database import Database
from kit.ttl_cache import TTLCache
from models import AgentSession, Message, Sandbox, ToolCall
from models.agent.tool_result import save_tool_result
from models.base import JsonObject

TOOL_CALL_TIMEOUT_SECONDS = 1_800
"""The longest that one tool call may take; the model is told when it was ended."""
MAX_EVENT_FIELD_CHARS = 2_000
"""Characters of a result that its event carries."""


class ToolCallInput(BaseModel):
    session_id: str
    sandbox_id: str | None = None
    """None where the session has none."""
    sequence: int
    """Of the assistant's message that holds the call."""
    tool_use_id: str
    after: str | None = None
    """The journal's name of a call that was carried out in this sandbox before."""

    @property
    def journal_key(self) -> str:
        """The call's name in the sandbox's journal: models may use an id again in a later message."""
        return f"{self.session_id}-{self.sequence}-{digest(self.tool_use_id)[:16]}"


class ToolCallActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database = database
        self.outside = outside
        self._agents: TTLCache[str, AgentSession] = TTLCache(seconds=600)
        self._sandboxes: TTLCache[str, _SandboxFacts] = TTLCache(seconds=600)

    @activity.defn
    async def tool_call(self, call: ToolCallInput) -> TimedResult:
        """Carry out a tool call in the sandbox and store its result.

        Killed before the call was sent, it is sent again; killed while it runs, the second execution waits
        for the very same process in the sandbox; killed before the result is stored, the journal tells it
        again; killed after, the stored result ends the second execution at once.

        A sandbox that was paused under it, or cannot be reached, is a reason to try again: the journal finds
        the same call.  One that is gone is `SANDBOX_GONE`: the call is answered then, never repeated, and a
        result that comes after that answer changes nothing.
        """
        agent = await self._agents.get(call.session_id, partial(self._load_session, call.session_id))
        bind_job(agent.job_id)
        if (block := await self._find_unanswered_block(call)) is None:
            note_already_done("The call's result was stored.")
            return TimedResult()
        credentials = await self.outside.credentials(agent.project_id)
        name, given = str(block["name"]), block["input"]
        assert isinstance(given, dict)
        request = parse(agent.kind, name, given)
        if isinstance(request, ReportIssue | ReportLearning):
            result = await self._save_report(call, agent.job_id, request)
        else:
            assert isinstance(request, ToolRequest), "everything else was answered with the turn"
            assert call.sandbox_id is not None, "a session without a sandbox has no tool that needs one"
            sandbox = await self._sandboxes.get(call.sandbox_id, partial(self._load_sandbox, call.sandbox_id))
            with external_call():
                handle = await self.outside.attach(credentials, sandbox)
                result = await handle.tool(
                    call.journal_key,
                    request.wire(),
                    envs=credentials.environment_for(agent.secrets),
                    after=call.after,
                    timeout_seconds=TOOL_CALL_TIMEOUT_SECONDS,
                )
        text = await asyncio.to_thread(credentials.redactor.redact_text, result.content)
        row = ToolCall(
            session_id=call.session_id,
            sequence=call.sequence,
            tool_use_id=call.tool_use_id,
            name=name,
            result=text,
            is_error=result.is_error,
            duration_ms=result.duration_ms,
        )
        await save_tool_result(self.database.sql, agent.job_id, row, tool_call_event_data(row, given))
        return TimedResult()

    async def _load_session(self, session_id: str) -> AgentSession:
        async with self.database.read_only() as session:
            return await session.get_one(AgentSession, session_id)

    async def _find_unanswered_block(self, call: ToolCallInput) -> JsonObject | None:
        """The call's block; None when its result is stored already."""
        results = select(ToolCall).where(
            col(ToolCall.session_id) == call.session_id,
            col(ToolCall.sequence) == call.sequence,
            col(ToolCall.tool_use_id) == call.tool_use_id,
        )
        asked = select(col(Message.content), results.exists()).where(
            col(Message.session_id) == call.session_id, col(Message.sequence) == call.sequence
        )
        async with self.database.read_only() as session:
            blocks, is_stored = (await session.execute(asked)).one()
        return None if is_stored else next(block for block in blocks if block.get("id") == call.tool_use_id)

    async def _load_sandbox(self, sandbox_id: str) -> "_SandboxFacts":
        found = select(col(Sandbox.provider_id), col(Sandbox.timeout_ms)).where(col(Sandbox.id) == sandbox_id)
        async with self.database.read_only() as session:
            provider_id, timeout_ms = (await session.execute(found)).one()
        return _SandboxFacts(provider_id, timeout_ms)

    async def _save_report(
        self, call: ToolCallInput, job_id: str, said: ReportIssue | ReportLearning
    ) -> ToolResult:
        """Needs no sandbox; the call's id keeps a repetition from making a second one of what is reported."""
        async with self.database.transaction() as session:
            key = f"{call.session_id}:{call.sequence}:{call.tool_use_id}"
            if isinstance(said, ReportIssue):
                text = await report_issue(session, job_id, key, said)
            else:
                text = await report_learning(session, job_id, key, said)
        return ToolResult(content=text, is_error=False, duration_ms=0, truncated=False)


def tool_call_event_data(call: ToolCall, given: dict[str, JsonValue]) -> JsonObject:
    """A call and its result as the event tells them."""
    return {
        "sessionId": call.session_id,
        "toolUseId": call.tool_use_id,
        "name": call.name,
        "input": _truncate_values(given),
        "result": call.result[:MAX_EVENT_FIELD_CHARS],
        "isError": call.is_error,
        "durationMs": call.duration_ms,
    }


def _truncate_values(given: dict[str, JsonValue]) -> dict[str, object]:
    """A call's input as its event shows it: long texts cut."""
    return {
        key: value[:MAX_EVENT_FIELD_CHARS] if isinstance(value, str) else value
        for key, value in given.items()
    }


class _SandboxFacts(NamedTuple):
    """What never changes of a sandbox at work."""

    provider_id: str | None
    timeout_ms: int
