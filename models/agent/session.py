"""An agent's conversation: append-only messages, and the result of every tool call.

Sequence 0 is the prompt, and turn `t` has four places from `4t` on: a compaction, what the user added, the
assistant's answer.  A message is unique by session and sequence, a tool call by its message and its id
(which a model may use again in a later message), so a repeated activity finds what the first one wrote.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from kit.ids import prefixed
from models.agent.session_kind import SessionKind
from models.base import Dollars, Json, JsonObject, Record, Table, Timestamp, enum_column, now
from models.blueprints.persona import ThinkingEffort


class AgentSession(Record, table=True):
    """Who talks with which model about what, within which limits."""

    id: str = Field(default_factory=prefixed("ses"), primary_key=True)
    job_id: str = Field(index=True)
    """Of the run, scan or other job that it works for."""
    step_id: str | None = Field(default=None, foreign_key="run_step.id", index=True, ondelete="CASCADE")
    """Of the run's step that it is, if it is one."""
    sandbox_id: str | None = Field(default=None, foreign_key="sandbox.id", index=True, ondelete="CASCADE")
    """Of the sandbox that its agent works in, if it works in one."""
    kind: SessionKind = Field(sa_type=enum_column(SessionKind))
    label: str
    model: str
    thinking_effort: ThinkingEffort = Field(sa_type=enum_column(ThinkingEffort))
    system: str
    max_turns: int
    secrets: list[str] | None = Field(default=None, sa_type=Json)
    """The names of the secret variables that its commands are given; None: all of the project's."""
    result: JsonObject | None = Field(default=None, sa_type=Json)
    """What its agent finished with, checked against the form of its kind; None until then."""
    cut_turns: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How many requests in a row were paid for and gave no whole answer."""

    def count_turn(self) -> None:
        """The model gave a whole answer."""
        self.cut_turns = 0

    def finish(self, result: JsonObject) -> None:
        """Its agent has finished, with this."""
        self.result = result

    def count_cut_turn(self) -> None:
        """The model's answer was cut off before it was whole."""
        self.cut_turns += 1


class MessageRole(StrEnum):
    """Who a message is from: the platform or a person (`user`), or the model (`assistant`); a `compaction` is
    a summary that the model is given instead of the messages before it."""

    user = "user"
    assistant = "assistant"
    compaction = "compaction"
    """From here on the model is told a summary instead of the messages before `compaction_point`."""


def compaction_sequence(turn: int) -> int:
    return 4 * turn


def addition_sequence(turn: int) -> int:
    return 4 * turn + 1


def turn_sequence(turn: int) -> int:
    """The sequence of the assistant's message of a turn; turns count from 1."""
    return 4 * turn + 2


def turn_number(place: int) -> int:
    return place // 4


class Message(Table, table=True):
    __table_args__ = (Index("message_place", "session_id", "sequence", unique=True),)
    id: str = Field(default_factory=prefixed("msg"), primary_key=True)
    session_id: str = Field(foreign_key="agent_session.id", ondelete="CASCADE")
    sequence: int
    role: MessageRole = Field(sa_type=enum_column(MessageRole))
    content: list[JsonObject] = Field(sa_type=Json)
    """Blocks as the Messages API speaks them, redacted of secrets."""
    compaction_point: int | None = None
    stop_reason: str | None = None
    model: str | None = None
    usage: dict[str, int] | None = Field(default=None, sa_type=Json)
    cost_usd: Decimal = Field(default=Decimal(0), sa_type=Dollars)
    started_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    completed_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class ToolCall(Table, table=True):
    """The result of one tool call; its request is in the assistant's message."""

    __table_args__ = (Index("tool_call_of_message", "session_id", "sequence", "tool_use_id", unique=True),)
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


class MessageSource(StrEnum):
    user = "user"
    platform = "platform"
    """Made of what others wrote, as CI's logs are: it commands nothing."""


class FollowUp(Record, table=True):
    """A message to a live job, told to the agent at its next turn."""

    id: str = Field(default_factory=prefixed("msg"), primary_key=True)
    job_id: str = Field(index=True)
    """Of the run, or of the sandbox of one's own."""
    source: MessageSource = Field(default=MessageSource.user, sa_type=enum_column(MessageSource))
    content: str
    status: FollowUpStatus = Field(default=FollowUpStatus.queued, sa_type=enum_column(FollowUpStatus))
    session_id: str | None = None
    sequence: int | None = None

    @property
    def is_queued(self) -> bool:
        """Whether no agent was told it yet."""
        return self.status is FollowUpStatus.queued

    def deliver(self, session_id: str, sequence: int) -> None:
        """It is part of this message of a session now."""
        self.status = FollowUpStatus.delivered
        self.session_id, self.sequence = session_id, sequence
