"""Sandboxes, their events and the conversations in them, on the wire."""

from typing import Literal

from kit.wire import Moment, Read, Wire
from models.agent_session import Message, MessageRole
from models.base import JsonObject
from models.event import Event
from models.sandbox import Sandbox, SandboxEvent, SandboxEventType, SandboxStatus
from models.view import View, example, moment, pairs

SANDBOX = "s_0198f2c5e4f57a1b9c2d4e6f8a0b1c2d"
RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
MESSAGE = "msg_0198f2c6b1c27d3e8f4a5b6c7d8e9f0a"
_NOW = "2026-01-15T10:05:00.000Z"


class SandboxRead(Read):
    """The machine in which the commands of a run, or of another job, are executed."""

    model_config = example(
        id=SANDBOX, _id=SANDBOX, runId=RUN, jobId=RUN, name="run-7", status="running", templateId="base",
        memoryMb=None, cpuCount=None, timeoutMs=3_600_000, errorMessage=None, killedAt=None,
        createdAt=_NOW, startedAt=_NOW,
    )  # fmt: skip
    run_id: str | None
    job_id: str
    """What it was made for: a run, an issue session, an answering session or a merge."""
    name: str
    status: SandboxStatus
    template_id: str
    memory_mb: int | None
    cpu_count: int | None
    timeout_ms: int
    error_message: str | None
    created_at: Moment
    started_at: Moment | None
    killed_at: Moment | None


class SandboxEventRead(Read):
    """One line of the append-only log of a sandbox's life."""

    model_config = example(
        id="sev_0198f2c5e4f57a1b9c2d4e6f8a0b1c2e", _id="sev_0198f2c5e4f57a1b9c2d4e6f8a0b1c2e",
        sandboxId=SANDBOX, type="clone", status="completed", message="Cloned org/repo.", createdAt=_NOW,
    )  # fmt: skip
    sandbox_id: str
    type: SandboxEventType
    status: str
    message: str
    created_at: Moment


class TranscriptEvent(Wire):
    """One block of a message: text, thinking, a tool call or a tool's result."""

    seq: int
    payload: JsonObject
    created_at: Moment


class MessageRead(Read):
    """One message of the conversation between the platform and an agent."""

    model_config = example(
        id=MESSAGE, _id=MESSAGE, sessionId="ses_0198f2c6b1c27d3e8f4a5b6c7d8e9f0b", sequence=6,
        role="assistant", content="The toggle is in place.", status="completed", startedAt=_NOW,
        completedAt=_NOW, timestamp=_NOW,
        transcriptEvents=[
            {"seq": 0, "payload": {"type": "text", "text": "The toggle is in place."}, "createdAt": _NOW},
        ],
    )  # fmt: skip
    session_id: str
    sequence: int
    """Its place in the conversation of its session; ascending, with gaps."""
    role: MessageRole
    content: str
    status: Literal["completed"]
    started_at: Moment
    completed_at: Moment
    timestamp: Moment
    transcript_events: list[TranscriptEvent]
    """Its blocks in order, and the results of its tool calls; empty unless asked for."""


class EventRead(Read):
    """One line of a run's gapless log."""

    model_config = example(
        id="evt_0198f2c5e4f57a1b9c2d4e6f8a0b1c2f", _id="evt_0198f2c5e4f57a1b9c2d4e6f8a0b1c2f", seq=1,
        type="run.created", createdAt=_NOW, data={"runNumber": 7, "name": "Add a dark mode toggle"},
    )  # fmt: skip
    seq: int
    type: str
    created_at: Moment
    data: JsonObject


_BLOCKS = """
    SELECT ordinal, block, message.completed_at AS said_at
    FROM jsonb_array_elements(message.content) WITH ORDINALITY AS blocks(block, ordinal)
    UNION ALL
    SELECT 10000 + row_number() OVER (ORDER BY tool_call.id),
        jsonb_build_object('type', 'tool_result', 'tool_use_id', tool_use_id, 'name', tool_call.name,
            'content', result, 'is_error', is_error),
        tool_call.created_at
    FROM tool_call
    WHERE tool_call.session_id = message.session_id AND tool_call.sequence = message.sequence
"""
_TOLD = pairs(seq="seq", payload="block", createdAt=moment("said_at"))
_TRANSCRIPT = f"""(
    SELECT coalesce(json_agg({_TOLD} ORDER BY seq), '[]')
    FROM (
        SELECT row_number() OVER (ORDER BY ordinal) - 1 AS seq, block, said_at FROM ({_BLOCKS}) AS told
    ) AS numbered
)"""  # noqa: S608
_TEXT = """(
    SELECT coalesce(string_agg(block->>'text', E'\\n\\n' ORDER BY ordinal), '')
    FROM jsonb_array_elements(message.content) WITH ORDINALITY AS blocks(block, ordinal)
    WHERE block->>'type' = 'text'
)"""
_MESSAGE = {"content": _TEXT, "status": "'completed'", "timestamp": moment("message.completed_at")}
_PLACE = ("session_id", "sequence")
_WHERE = {"sandbox_id": "session_id IN (SELECT id FROM agent_session WHERE sandbox_id = %(sandbox_id)s)"}

_RUN = "CASE WHEN starts_with(job_id, 'r_') THEN job_id END"
_OF_RUN = {"run_id": "job_id = %(run_id)s"}
SANDBOXES = View(SandboxRead, Sandbox, "Sandbox", shown={"run_id": _RUN}, where=_OF_RUN)
SANDBOX_EVENTS = View(SandboxEventRead, SandboxEvent, "Event")
MESSAGES = View(
    MessageRead,
    Message,
    "Message",
    keys=_PLACE,
    shown={**_MESSAGE, "transcript_events": _TRANSCRIPT},
    where=_WHERE,
)
BRIEF_MESSAGES = View(
    MessageRead,
    Message,
    "Message",
    keys=_PLACE,
    shown={**_MESSAGE, "transcript_events": "'[]'::json"},
    where=_WHERE,
)
EVENTS = View(EventRead, Event, "Event", keys=("seq",))
