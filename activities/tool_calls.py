"""One tool call is one activity, with one effect: the sandbox keeps a journal under the call's id."""

from typing import NamedTuple

from pydantic import BaseModel, JsonValue
from temporalio import activity

from activities.issue_reports import report_issue
from activities.jobs import bind_job
from activities.outside import Outside, outside
from activities.telling import TELL, told
from gateways.sandbox import ToolResult
from gateways.tools import ReportIssue, ToolRequest, parse
from kit.database import Database
from kit.ids import new_id
from models.base import JsonObject
from models.event import EventType
from models.jobs import table_of
from models.session_kind import SessionKind

TOOL_SECONDS = 1_800
"""The longest that one tool call may take; the model is told when it was ended."""
SHOWN_RESULT = 2_000
"""Characters of a result that its event carries."""


_LOAD = """
    SELECT agent_session.job_id, agent_session.project_id, agent_session.kind, block,
        sandbox.provider_id, sandbox.timeout_ms,
        EXISTS (SELECT FROM tool_call WHERE session_id = agent_session.id AND tool_use_id = %(tool_use_id)s)
    FROM agent_session
    JOIN message ON message.session_id = agent_session.id AND message.sequence = %(sequence)s
    JOIN jsonb_array_elements(message.content) AS block ON block ->> 'id' = %(tool_use_id)s
    JOIN sandbox ON sandbox.id = %(sandbox_id)s
    WHERE agent_session.id = %(session_id)s
"""
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
    {tell}
"""
"""Result, progress and event as one statement, which does nothing if the result is there already."""


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
        found = await self.database.direct.fetch(_LOAD, call.model_dump())
        loaded = _Loaded(*found[0])
        bind_job(loaded.job_id)
        if loaded.is_stored:
            return
        credentials = await self.outside.credentials(loaded.project_id)
        name, given = str(loaded.block["name"]), loaded.block["input"]
        assert isinstance(given, dict)
        request = parse(SessionKind(loaded.kind), name, given)
        if isinstance(request, ReportIssue):
            result = await self._report(call, loaded, request)
        else:
            assert isinstance(request, ToolRequest), "everything else was answered with the turn"
            with outside():
                handle = await self.outside.attach(credentials, loaded)
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
            "is_error": result.is_error, "duration_ms": result.duration_ms, "job": loaded.job_id,
            **told(EventType.tool_completed, data),
        }  # fmt: skip
        await self.database.direct.fetch(_STORE.format(job=table_of(loaded.job_id), tell=TELL), row)

    async def _report(self, call: ToolCallInput, loaded: "_Loaded", said: ReportIssue) -> ToolResult:
        """Needs no sandbox; the call's id keeps a repetition from making a second issue."""
        async with self.database.transaction() as session:
            key = f"{call.session_id}:{call.tool_use_id}"
            text = await report_issue(session, loaded.job_id, key, said)
        return ToolResult(content=text, is_error=False, duration_ms=0, truncated=False)


def shortened(given: dict[str, JsonValue]) -> dict[str, object]:
    """A call's input as its event shows it: long texts cut."""
    return {key: value[:SHOWN_RESULT] if isinstance(value, str) else value for key, value in given.items()}


class _Loaded(NamedTuple):
    job_id: str
    project_id: str
    kind: str
    block: dict[str, JsonValue]
    """The call, as the model asked for it."""
    provider_id: str | None
    timeout_ms: int
    is_stored: bool
