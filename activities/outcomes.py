"""What a stored answer asks the workflow to do next."""

from typing import Literal

from pydantic import BaseModel

from activities.conversations import Conversation
from gateways.conversation import Usage, needs_compaction
from gateways.profiles import profile
from models.run_step import Verdict

MOST_OUTPUT = 32_000
"""Tokens that one answer may have; models that can give less are asked for less."""
Verb = Literal["tools", "finished", "nudge", "refused"]


class Call(BaseModel):
    id: str
    name: str


class TurnOutcome(BaseModel):
    next: Verb
    calls: list[Call] = []
    """To be carried out in the sandbox, all at once."""
    verdict: Verdict | None = None
    cost_usd: float
    """Of the whole job so far."""
    compact: bool = False
    """The next turn may not fit the model's window: compact first."""


def outcome_of(model: str, conversation: Conversation, place: int) -> TurnOutcome:
    """What the answer in this place asks for; calls that need no sandbox, or have their result, do not.

    The same for the same rows, so that a repeated activity returns what the first one did.
    """
    answer, standing, answered = conversation.said[place], conversation.standing, conversation.answered
    asked = [block for block in answer.content if block["type"] == "tool_use"]
    calls = [Call(id=str(b["id"]), name=str(b["name"])) for b in asked if b["id"] not in answered]
    verb: Verb = "tools" if asked else "nudge"
    if standing.finished:
        verb = "finished"
    elif answer.stop_reason == "refusal":
        verb = "refused"
    window = profile(model).window
    usage = Usage.model_validate(answer.usage)
    return TurnOutcome(
        next=verb,
        calls=calls,
        verdict=standing.verdict,
        cost_usd=standing.cost_usd,
        compact=needs_compaction(usage, window, MOST_OUTPUT + window // 10),
    )
