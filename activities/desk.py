"""What a turn and the tool calls that it asks for leave for each other, within one process.

The rows are the truth, and any worker can go on from them alone.  As a rule the same worker goes on, some
milliseconds later, and it need not read again what it has just written: the rows of a conversation are added
to and never changed, so what lies here can only lack what somebody else has added since.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from activities.conversations import Conversation
from gateways.conversation import ToolResult
from models import AgentSession
from models.agent_session import answer_place
from models.base import JsonObject

FRESH: Final = 0.25
"""Seconds; a turn that begins later after the last result reads the rows, as a client may have said more."""
MOST: Final = 50
"""Conversations that lie here; the one that was not touched for longest goes first."""


@dataclass
class _Open:
    agent: AgentSession
    conversation: Conversation
    sequence: int
    """Of the answer that asks for the calls."""
    waiting: set[str]
    """The ids of the calls without a result."""
    touched: float = field(default_factory=time.monotonic)


class Desk:
    """Whoever repeats an activity may not use it: what its first attempt did may be known elsewhere only."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Open] = OrderedDict()

    def leave(self, agent: AgentSession, conversation: Conversation, calls: Iterable[str]) -> None:
        """A conversation whose last answer asks for these calls, and which goes on with their results."""
        self._open[agent.id] = _Open(agent, conversation, max(conversation.said), set(calls))
        self._open.move_to_end(agent.id)
        if len(self._open) > MOST:
            self._open.popitem(last=False)

    def call(self, session_id: str, sequence: int, call_id: str) -> tuple[AgentSession, JsonObject] | None:
        """Who asks for a call that has no result yet, and its block."""
        found = self._open.get(session_id)
        if found is None or found.sequence != sequence or call_id not in found.waiting:
            return None
        blocks = found.conversation.said[sequence].content
        return found.agent, next(block for block in blocks if block.get("id") == call_id)

    def answer(self, session_id: str, result: ToolResult, *, has_queued: bool) -> None:
        """A result that was just stored; has_queued: a client's message waited at that moment."""
        found = self._open.get(session_id)
        if found is not None and result.tool_use_id in found.waiting:
            found.waiting.remove(result.tool_use_id)
            found.conversation.results.append(result)
            found.conversation = found.conversation._replace(has_queued=has_queued)
            found.touched = time.monotonic()
            self._open.move_to_end(session_id)

    def take(self, session_id: str, turn: int) -> Conversation | None:
        """The whole conversation before a turn; None when it has to be read.  It lies here no longer."""
        found = self._open.pop(session_id, None)
        if found is None or found.waiting or found.sequence != answer_place(turn - 1):
            return None
        return found.conversation if time.monotonic() - found.touched < FRESH else None
