"""What a stored answer asks the workflow to do next."""

from typing import Literal

from pydantic import BaseModel, Field

from activities.agent.conversation import Conversation
from activities.jobs.active_time import TimedResult
from gateways.anthropic.conversation import Usage, needs_compaction
from gateways.anthropic.model_profiles import model_profile
from gateways.tools.definitions import SANDBOX_TOOLS, may_write
from models import AgentSession
from models.agent.session_kind import SessionKind
from models.agent.transcript import StoredMessage
from models.base import JsonObject

MAX_OUTPUT_TOKENS = 32_000
"""Tokens that one answer may have; models that can give less are asked for less."""
NextAction = Literal["tools", "finish", "finished", "nudge", "refused"]
"""`finish`: the agent asks to end; `finished`: it has nothing more to say and may be spoken to again."""


class PendingCall(BaseModel):
    id: str
    name: str
    in_sandbox: bool = True
    """It is carried out there."""
    may_write: bool = True
    """It may change files there."""

    @classmethod
    def of(cls, block: JsonObject) -> "PendingCall":
        name, given = str(block["name"]), block["input"]
        assert isinstance(given, dict)
        return cls(
            id=str(block["id"]), name=name, in_sandbox=name in SANDBOX_TOOLS, may_write=may_write(name, given)
        )


class TurnResult(TimedResult):
    next: NextAction
    calls: list[PendingCall] = Field(default_factory=list)
    """To be carried out, all at once."""
    compact: bool = False
    """The next turn may not fit the model's window: compact first."""


def build_turn_result(agent: AgentSession, conversation: Conversation, place: int) -> TurnResult:
    """What the answer in this place asks for; calls that need no sandbox, or have their result, do not.

    The same for the same rows, so that a repeated activity returns what the first one did.
    """
    answer, answered = conversation.stored[place], conversation.answered(place)
    asked = [block for block in answer.content if block["type"] == "tool_use"]
    calls = [PendingCall.of(block) for block in asked if block["id"] not in answered]
    verb: NextAction = "tools" if asked else "nudge"
    if agent.kind is SessionKind.companion and _awaits_user(answer):
        verb = "finished"
    elif answer.stop_reason == "refusal":
        verb = "refused"
    elif any(call.name == "finish" for call in calls):
        verb, calls = "finish", []
    window = model_profile(agent.model).window
    usage = Usage.model_validate(answer.usage)
    return TurnResult(
        next=verb,
        calls=calls,
        compact=needs_compaction(usage, window, MAX_OUTPUT_TOKENS + window // 10),
    )


def _awaits_user(answer: StoredMessage) -> bool:
    """Whether a companion has answered its user and waits for the next message."""
    return answer.stop_reason in ("end_turn", "stop_sequence")
