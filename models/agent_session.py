"""An agent's conversation: append-only messages, and the result of every tool call.

Sequence 0 is the prompt, and turn `t` has four places from `4t` on: a compaction, what the user added, the
assistant's answer.  A message is unique by session and sequence and a tool call by session and id, so a
repeated activity finds what the first one wrote.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Dollars, Json, JsonObject, Record, Table, Timestamp, choice, now
from models.persona import ThinkingEffort
from models.session_kind import SessionKind


class AgentSession(Record, table=True):
    """Who talks with which model about what, within which limits."""

    id: str = Field(default_factory=prefixed("ses"), primary_key=True)
    job_id: str = Field(index=True)
    """Of the run, scan or other job that it works for."""
    step_id: str | None = Field(default=None, foreign_key="run_step.id", index=True, ondelete="CASCADE")
    """Of the run's step that it is, if it is one."""
    sandbox_id: str = Field(foreign_key="sandbox.id", index=True, ondelete="CASCADE")
    kind: SessionKind = Field(sa_type=choice(SessionKind))
    label: str
    model: str
    thinking_effort: ThinkingEffort = Field(sa_type=choice(ThinkingEffort))
    system: str
    max_turns: int
    result: JsonObject | None = Field(default=None, sa_type=Json)
    """What its agent finished with, checked against the form of its kind; None until then."""


class MessageRole(StrEnum):
    user = "user"
    assistant = "assistant"
    compaction = "compaction"
    """From here on the model is told a summary instead of the messages before `compaction_point`."""


def compaction_place(turn: int) -> int:
    return 4 * turn


def addition_place(turn: int) -> int:
    return 4 * turn + 1


def answer_place(turn: int) -> int:
    """The sequence of the assistant's message of a turn; turns count from 1."""
    return 4 * turn + 2


def turn_of(place: int) -> int:
    return place // 4


class Message(Table, table=True):
    __table_args__ = (Index("message_place", "session_id", "sequence", unique=True),)
    id: str = Field(default_factory=prefixed("msg"), primary_key=True)
    session_id: str = Field(foreign_key="agent_session.id", ondelete="CASCADE")
    sequence: int
    role: MessageRole = Field(sa_type=choice(MessageRole))
    content: list[JsonObject] = Field(sa_type=Json)
    """Blocks as the Messages API speaks them, scrubbed of secrets."""
    compaction_point: int | None = None
    stop_reason: str | None = None
    model: str | None = None
    usage: dict[str, int] | None = Field(default=None, sa_type=Json)
    cost_usd: Decimal = Field(default=Decimal(0), sa_type=Dollars)
    started_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    completed_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class ToolCall(Table, table=True):
    """The result of one tool call; its request is in the assistant's message."""

    __table_args__ = (Index("tool_call_of_session", "session_id", "tool_use_id", unique=True),)
    id: str = Field(default_factory=prefixed("tool"), primary_key=True)
    session_id: str = Field(foreign_key="agent_session.id", ondelete="CASCADE")
    sequence: int
    """Of the assistant's message that asked for it."""
    tool_use_id: str
    name: str
    result: str
    is_error: bool
    duration_ms: int
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class FollowUpStatus(StrEnum):
    queued = "queued"
    delivered = "delivered"


class FollowUp(Record, table=True):
    """A client's message to a live run, told to the agent at its next turn."""

    id: str = Field(default_factory=prefixed("msg"), primary_key=True)
    run_id: str = Field(foreign_key="run.id", index=True, ondelete="CASCADE")
    content: str
    status: FollowUpStatus = Field(default=FollowUpStatus.queued, sa_type=choice(FollowUpStatus))
    session_id: str | None = None
    sequence: int | None = None
