"""How many tokens a request has at most: known before it is sent, never below what is charged.

No token is shorter than a byte, so the bytes of a request are a bound for what was never counted.  What the
model counted at the last turn needs no estimate: only what came since is taken by its bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from activities.agent.conversation import Conversation
from gateways.anthropic.client import TurnRequest
from gateways.anthropic.conversation import Usage
from models.agent.session import MessageRole

PROVIDER_OVERHEAD_TOKENS: Final = 2_000
"""What the provider adds: its own words about tools and thinking, and marks around messages."""
MAX_IMAGE_TOKENS: Final = 8_000
"""More than the largest image takes, whatever its file weighs."""
COUNT_MARGIN_SHARE: Final = 0.02
"""A count of the provider's is an estimate, too: it says that it may differ by a small amount."""


def max_input_tokens(request: TurnRequest, counted: Usage | None) -> int:
    """counted: of the last answer that is part of the request, unless something before it has changed."""
    whole = _count_json_bytes([*request.system, *request.tools, *request.messages]) + PROVIDER_OVERHEAD_TOKENS
    if counted is None:
        return whole
    return min(
        whole, counted.context + _count_json_bytes(_after_last_answer(request)) + PROVIDER_OVERHEAD_TOKENS
    )


def max_tokens_of_count(tokens: int) -> int:
    """From what the provider says that a request has."""
    return tokens + int(tokens * COUNT_MARGIN_SHARE) + 100


def last_usage_of(conversation: Conversation) -> Usage | None:
    """What the model counted at the last turn; None if the conversation was compacted since."""
    for message in reversed(conversation.stored.values()):
        if message.role is MessageRole.compaction:
            return None
        if message.role is MessageRole.assistant and message.usage is not None:
            return Usage.model_validate(message.usage)
    return None


def _after_last_answer(request: TurnRequest) -> list[Mapping[str, object]]:
    messages = request.messages
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return [dict(message) for message in messages[answers[-1] + 1 if answers else 0 :]]


def _count_json_bytes(value: object) -> int:
    """Bytes of a value as JSON; an image has a weight of its own."""
    if isinstance(value, Mapping):
        if value.get("type") == "image":
            return MAX_IMAGE_TOKENS
        return sum(len(str(key)) + 4 + _count_json_bytes(part) for key, part in value.items())
    if isinstance(value, str):
        return len(value.encode(errors="replace")) + 2
    if isinstance(value, Sequence):
        return sum(_count_json_bytes(part) + 1 for part in value)
    return len(orjson.dumps(value)) + 1
