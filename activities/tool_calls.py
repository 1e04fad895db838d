"""One tool call is one activity, with one effect: the sandbox keeps a journal under the call's id."""

from functools import partial
from typing import NamedTuple

from pydantic import BaseModel, JsonValue
from temporalio import activity

from activities.desk import Desk
from activities.issue_reports import report_issue
from activities.jobs import bind_job
from activities.outside import Outside, outside
from activities.telling import TELL, told
from gateways.conversation import ToolResult as Answer
from gateways.sandbox import ToolResult
from gateways.tools import ReportIssue, ToolRequest, parse
from kit.database import Database
from kit.ids import new_id
from kit.recent import Recent
from models import AgentSession
from models.base import JsonObject
from models.event import EventType
from models.jobs import table_of

TOOL_SECONDS = 1_800
"""The longest that one tool call may take; the model is told when it was ended."""
SHOWN_RESULT = 2_000
"""Characters of a result that its event carries."""


_CALL = """
    SELECT to_jsonb(agent_session), block,
        EXISTS (SELECT FROM tool_call WHERE session_id = agent_session.id AND tool_use_id = %(tool_use_id)s)
    FROM agent_session
    JOIN message ON message.session_id = agent_session.id AND message.sequence = %(sequence)s
    JOIN jsonb_array_elements(message.content) AS block ON block ->> 'id' = %(tool_use_id)s
    WHERE agent_session.id = %(session_id)s
"""
_SANDBOX = "SELECT provider_id, timeout_ms FROM sandbox WHERE id = %(sandbox)s"
_STORE = """
    WITH stored AS (
        INSERT INTO tool_call
            (id, session_id, sequence, tool_use_id, name, result, is_error, duration_ms, created_at)
        VALUES (%(tool)s, %(session_id)s, %(sequence)s, %(tool_use_id)s, %(name)s, %(result)s, %(is_error)s,
            %(duration_ms)s, %(now)s)
        ON CONFLICT DO NOTHING RETURNING name
    ), changed AS (
        UPDATE {job} SET event_seq = event_seq + 1, last_progress_at = %(now)s, waiting = NULL,
            current_step_progress = concat(current_step_label, ': ', %(name)s::text)
        WHERE id = %(job)s AND EXISTS (SELECT FROM stored)
        RETURNING project_id, id, event_seq
    )
    {tell} RETURNING EXISTS (SELECT FROM follow_up WHERE run_id = %(job)s AND status = 'queued')
"""
"""Result, progress and event as one statement, which does nothing if the result is there already."""


class ToolCallInput(BaseModel):
    session_id: str
    sandbox_id: str
    sequence: int
    """Of the assistant's message that holds the call."""
    tool_use_id: str


class ToolCalls:
    def __init__(self, database: Database, outside: Outside, desk: Desk) -> None:
        self.database = database
        self.outside = outside
        self.desk = desk
        self._sandboxes: Recent[str, _Sandbox] = Recent(seconds=600)

    @activity.defn
    async def tool_call(self, call: ToolCallInput) -> None:
        """Carry out a tool call in the sandbox and store its result.

        Killed before the call was sent, it is sent again; killed while it runs, the second execution waits
        for the very same process in the sandbox; killed before the result is stored, the journal tells it
        again; killed after, the stored result ends the second execution at once.
        """
        if (asked := await self._asked(call)) is None:
            return
        agent, block = asked
        bind_job(agent.job_id)
        credentials = await self.outside.credentials(agent.project_id)
        name, given = str(block["name"]), block["input"]
        assert isinstance(given, dict)
        request = parse(agent.kind, name, given)
        if isinstance(request, ReportIssue):
            result = await self._report(call, agent.job_id, request)
        else:
            assert isinstance(request, ToolRequest), "everything else was answered with the turn"
            sandbox = await self._sandboxes.get(call.sandbox_id, partial(self._sandbox, call.sandbox_id))
            with outside():
                handle = await self.outside.attach(credentials, sandbox)
                result = await handle.tool(
                    call.tool_use_id,
                    request.wire(),
                    envs=credentials.command_environment,
                    timeout_seconds=TOOL_SECONDS,
                )
        text = credentials.scrubber.text(result.content)
        data: JsonObject = {
            "sessionId": call.session_id, "toolUseId": call.tool_use_id, "name": name,
            "input": shortened(given), "result": text[:SHOWN_RESULT], "isError": result.is_error,
            "durationMs": result.duration_ms,
        }  # fmt: skip
        row = {
            **call.model_dump(), "tool": new_id("tool"), "name": name, "result": text,
            "is_error": result.is_error, "duration_ms": result.duration_ms, "job": agent.job_id,
            **told(EventType.tool_completed, data),
        }  # fmt: skip
        statement = _STORE.format(job=table_of(agent.job_id), tell=TELL)
        for [has_queued] in await self.database.direct.fetch(statement, row):
            stored = Answer(tool_use_id=call.tool_use_id, content=text, is_error=result.is_error)
            self.desk.answer(call.session_id, stored, has_queued=has_queued)

    async def _asked(self, call: ToolCallInput) -> tuple[AgentSession, JsonObject] | None:
        """Who asks, and the call's block; None when its result is stored already."""
        is_first = activity.info().attempt == 1
        if is_first and (lies := self.desk.call(call.session_id, call.sequence, call.tool_use_id)):
            return lies
        [[agent, block, is_stored]] = await self.database.direct.fetch(_CALL, call.model_dump())
        return None if is_stored else (AgentSession.model_validate(agent), block)

    async def _sandbox(self, sandbox_id: str) -> "_Sandbox":
        [row] = await self.database.direct.fetch(_SANDBOX, {"sandbox": sandbox_id})
        return _Sandbox(*row)

    async def _report(self, call: ToolCallInput, job_id: str, said: ReportIssue) -> ToolResult:
        """Needs no sandbox; the call's id keeps a repetition from making a second issue."""
        async with self.database.transaction() as session:
            key = f"{call.session_id}:{call.tool_use_id}"
            text = await report_issue(session, job_id, key, said)
        return ToolResult(content=text, is_error=False, duration_ms=0, truncated=False)


def shortened(given: dict[str, JsonValue]) -> dict[str, object]:
    """A call's input as its event shows it: long texts cut."""
    return {key: value[:SHOWN_RESULT] if isinstance(value, str) else value for key, value in given.items()}


class _Sandbox(NamedTuple):
    """What never changes of a sandbox at work."""

    provider_id: str | None
    timeout_ms: int
