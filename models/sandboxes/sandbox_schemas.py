"""Sandboxes, their events and the conversations in them, on the wire."""

from typing import Literal

from kit.schemas import Read, UtcTimestamp, Wire
from models.agent.session import Message, MessageRole
from models.base import JsonObject
from models.event import Event
from models.json_view import JsonView, example, json_object_sql, timestamp_sql
from models.runs.run_schemas import Waiting
from models.sandboxes.sandbox import Sandbox, SandboxEvent, SandboxEventType, SandboxPurpose, SandboxStatus

SANDBOX = "s_0198f2c5e4f57a1b9c2d4e6f8a0b1c2d"
RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
MESSAGE = "msg_0198f2c6b1c27d3e8f4a5b6c7d8e9f0a"
_NOW = "2026-01-15T10:05:00.000Z"


class SandboxRepository(Wire):
    """The repository in a sandbox of one's own."""

    github_repo_url: str
    """Its address."""
    repository_slug: str
    """`owner/name`."""
    branch_name: str
    """The branch that is checked out."""
    base_branch: str | None
    """The branch that it started from; null until it is cloned, if none was named."""
    base_sha: str | None
    """The commit that it started from; null until it is cloned."""


class SandboxRead(Read):
    """The machine in which the commands of a run, or of another job, are executed."""

    model_config = example(
        id=SANDBOX,
        _id=SANDBOX,
        runId=RUN,
        jobId=RUN,
        purpose="work",
        commitSha=None,
        name="run-7",
        status="running",
        templateId="base",
        memoryMb=None,
        cpuCount=None,
        timeoutMs=3_600_000,
        errorMessage=None,
        killedAt=None,
        createdAt=_NOW,
        startedAt=_NOW,
        repository=None,
        expiresAt=None,
        waiting=None,
    )
    run_id: str | None
    """The run that it was made for; null where it was made for another job."""
    job_id: str
    """What it was made for: a run, an issue session, an answering session, a merge, or itself (`sj_…`)."""
    purpose: SandboxPurpose
    """What it is for: the work of its job, or one verification of what that work left."""
    commit_sha: str | None
    """The commit that a verification is of; null for other sandboxes, and where that is the base commit."""
    name: str
    """What people call it; that of its job unless it was renamed."""
    status: SandboxStatus
    """How far it is."""
    template_id: str
    """The template that it is made from."""
    memory_mb: int | None
    """The memory in MiB that its template has to give it; null for any."""
    cpu_count: int | None
    """The processors that its template has to give it; null for any."""
    timeout_ms: int
    """After how long without use it is paused, in milliseconds; one of one's own is kept for that long."""
    error_message: str | None
    """Why it could not be made or was lost; null otherwise."""
    created_at: UtcTimestamp
    """When it was asked for."""
    started_at: UtcTimestamp | None
    """When it began to run; null until then."""
    killed_at: UtcTimestamp | None
    """When it was gone; null while it lives."""
    repository: SandboxRepository | None
    """What was cloned into a sandbox of one's own; null for those of other jobs, which say so themselves."""
    expires_at: UtcTimestamp | None
    """When a sandbox of one's own is removed; null until it is ready, and for those of other jobs."""
    waiting: Waiting | None
    """What holds up the making of a sandbox of one's own, or its agent, just now."""


class SandboxEventRead(Read):
    """One line of the append-only log of a sandbox's life."""

    model_config = example(
        id="sev_0198f2c5e4f57a1b9c2d4e6f8a0b1c2e",
        _id="sev_0198f2c5e4f57a1b9c2d4e6f8a0b1c2e",
        sandboxId=SANDBOX,
        type="clone",
        status="completed",
        message="Cloned org/repo.",
        createdAt=_NOW,
    )
    sandbox_id: str
    """The sandbox that it happened to."""
    type: SandboxEventType
    """What happened."""
    status: str
    """Whether it went well: `completed` or `failed`."""
    message: str
    """What happened, in words."""
    created_at: UtcTimestamp
    """When it happened."""


class TranscriptEvent(Wire):
    """One block of a message: text, thinking, a tool call or a tool's result."""

    seq: int
    """Its index in the message, from 0."""
    payload: JsonObject
    """The block in the form of the Messages API, by its `type` (`text`, `thinking`, `tool_use`,
    `tool_result`, …), secrets masked."""
    created_at: UtcTimestamp
    """When it was recorded."""


class MessageRead(Read):
    """One message of the conversation between the platform and an agent."""

    model_config = example(
        id=MESSAGE,
        _id=MESSAGE,
        sessionId="ses_0198f2c6b1c27d3e8f4a5b6c7d8e9f0b",
        sequence=6,
        role="assistant",
        content="The toggle is in place.",
        status="completed",
        startedAt=_NOW,
        completedAt=_NOW,
        timestamp=_NOW,
        transcriptEvents=[
            {"seq": 0, "payload": {"type": "text", "text": "The toggle is in place."}, "createdAt": _NOW},
        ],
    )
    session_id: str
    """The agent session that it belongs to."""
    sequence: int
    """Its place in the conversation of its session; ascending, with gaps."""
    role: MessageRole
    """Who it is from."""
    content: str
    """Its text, without its other blocks; may be empty."""
    status: Literal["completed"]
    """Always `completed`: a message is recorded once it is whole."""
    started_at: UtcTimestamp
    """When its writing began."""
    completed_at: UtcTimestamp
    """When it was whole."""
    timestamp: UtcTimestamp
    """The same as `completedAt`."""
    transcript_events: list[TranscriptEvent]
    """Its blocks in order, and the results of its tool calls; empty unless asked for."""


class EventRead(Read):
    """One line of a run's gapless log."""

    model_config = example(
        id="evt_0198f2c5e4f57a1b9c2d4e6f8a0b1c2f",
        _id="evt_0198f2c5e4f57a1b9c2d4e6f8a0b1c2f",
        seq=1,
        type="run.created",
        createdAt=_NOW,
        data={"runNumber": 7, "name": "Add a dark mode toggle"},
    )
    seq: int
    """Its sequence in the log, from 1 and without gaps."""
    type: str
    """What happened, for example `step.completed`."""
    created_at: UtcTimestamp
    """When it happened."""
    data: JsonObject
    """The facts of it; which ones depends on its type."""


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
_TRANSCRIPT_EVENT = json_object_sql(seq="seq", payload="block", createdAt=timestamp_sql("said_at"))
_TRANSCRIPT = f"""(
    SELECT coalesce(json_agg({_TRANSCRIPT_EVENT} ORDER BY seq), '[]')
    FROM (
        SELECT row_number() OVER (ORDER BY ordinal) - 1 AS seq, block, said_at FROM ({_BLOCKS}) AS told
    ) AS numbered
)"""  # noqa: S608
_TEXT = """(
    SELECT coalesce(string_agg(block->>'text', E'\\n\\n' ORDER BY ordinal), '')
    FROM jsonb_array_elements(message.content) WITH ORDINALITY AS blocks(block, ordinal)
    WHERE block->>'type' = 'text'
)"""
_MESSAGE = {"content": _TEXT, "status": "'completed'", "timestamp": timestamp_sql("message.completed_at")}
_MESSAGE_KEYS = ("session_id", "sequence")
_MESSAGE_FILTERS = {
    "sandbox_id": "session_id IN (SELECT id FROM agent_session WHERE sandbox_id = %(sandbox_id)s)"
}

_RUN = "CASE WHEN starts_with(job_id, 'r_') THEN job_id END"
_OF_RUN = {"run_id": "job_id = %(run_id)s"}
_SANDBOX_JOB_SQL = "(SELECT {} FROM sandbox_job WHERE sandbox_job.id = sandbox.job_id)"
_CLONED = json_object_sql(
    githubRepoUrl="github_repo_url",
    repositorySlug="repository_slug",
    branchName="branch_name",
    baseBranch="base_branch",
    baseSha="base_sha",
)
_COMPUTED = {
    "run_id": _RUN,
    "repository": _SANDBOX_JOB_SQL.format(_CLONED),
    "expires_at": _SANDBOX_JOB_SQL.format(timestamp_sql("ends_at")),
    "waiting": _SANDBOX_JOB_SQL.format("waiting"),
}
SANDBOXES = JsonView(SandboxRead, Sandbox, "Sandbox", shown=_COMPUTED, where=_OF_RUN)
SANDBOX_EVENTS = JsonView(SandboxEventRead, SandboxEvent, "Event", scope="sandbox_id")
MESSAGES = JsonView(
    MessageRead,
    Message,
    "Message",
    keys=_MESSAGE_KEYS,
    shown={**_MESSAGE, "transcript_events": _TRANSCRIPT},
    where=_MESSAGE_FILTERS,
)
BRIEF_MESSAGES = JsonView(
    MessageRead,
    Message,
    "Message",
    keys=_MESSAGE_KEYS,
    shown={**_MESSAGE, "transcript_events": "'[]'::json"},
    where=_MESSAGE_FILTERS,
)
EVENTS = JsonView(EventRead, Event, "Event", keys=("seq",))
