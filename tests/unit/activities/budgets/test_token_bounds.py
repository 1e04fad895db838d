"""A request's tokens are never more than its bound: held against the count of the scripted model."""

import pytest

from activities.agent.conversation import Conversation
from activities.budgets.token_bounds import (
    MAX_IMAGE_TOKENS,
    last_usage_of,
    max_input_tokens,
    max_tokens_of_count,
)
from gateways.anthropic.client import TurnRequest
from gateways.anthropic.conversation import Block, Message, Usage, text_block
from local.model.requests import CountRequest
from local.model.token_usage import input_tokens
from models.agent.session import MessageRole, addition_sequence, compaction_sequence, turn_sequence
from models.agent.transcript import StoredMessage

TEXTS = ["", "a", "Ünïcødé 漢字 💥 " * 40, '"\\\n\t\x01' * 300, "plain words " * 5_000]


def user(*blocks: Block) -> Message:
    return {"role": "user", "content": list(blocks)}


def a_request(*messages: Message) -> TurnRequest:
    tool: Block = {"name": "bash", "description": "Run it.", "input_schema": {"type": "object"}}
    return TurnRequest(
        model="m", system=("Role: designer",), messages=[*messages], tools=[tool], max_tokens=9
    )


def counted(request: TurnRequest) -> int:
    return input_tokens(
        CountRequest.model_validate(
            {
                "model": request.model,
                "messages": request.messages,
                "tools": request.tools,
                "system": [text_block(part) for part in request.system],
            }
        )
    )


@pytest.mark.parametrize("text", TEXTS)
def test_what_was_never_counted_is_taken_by_its_bytes(text: str) -> None:
    request = a_request(user(text_block(f"Do {text}")))
    assert max_input_tokens(request, None) >= max(counted(request), len(text.encode()))


@pytest.mark.parametrize("text", TEXTS)
def test_what_was_counted_is_not_estimated_again(text: str) -> None:
    first = user(text_block("Do it. " * 10_000))
    call: Block = {"type": "tool_use", "id": "t", "name": "bash", "input": {"command": "true"}}
    result: Block = {"type": "tool_result", "tool_use_id": "t", "content": f"It says {text}"}
    answer: Message = {"role": "assistant", "content": [call]}
    usage = Usage(cache_write_5m=counted(a_request(first)), output=40)
    request = a_request(first, answer, user(result))
    bound = max_input_tokens(request, usage)
    assert bound >= counted(request)
    assert bound < max_input_tokens(request, None)
    assert bound <= usage.context + 2 * len(f"{text}".encode()) + 2_500


def test_an_image_has_a_weight_of_its_own() -> None:
    image: Block = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "A" * 10**6},
    }
    nested: Block = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    plain = max_input_tokens(a_request(user(text_block("Look."))), None)
    for block in (image, nested):
        bound = max_input_tokens(a_request(user(text_block("Look."), block)), None)
        assert MAX_IMAGE_TOKENS <= bound - plain < MAX_IMAGE_TOKENS + 200


def test_a_count_is_taken_with_a_margin() -> None:
    assert max_tokens_of_count(0) > 0
    assert max_tokens_of_count(100_000) >= 101_000


def test_a_compaction_makes_the_last_count_void() -> None:
    usage = {"input": 5, "output": 7, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0}
    answer = StoredMessage(turn_sequence(1), MessageRole.assistant, [], None, "tool_use", usage)
    added = StoredMessage(addition_sequence(2), MessageRole.user, [{"type": "text", "text": "More."}])
    summary = StoredMessage(
        compaction_sequence(2), MessageRole.compaction, [{"type": "text", "text": "So far."}], 1
    )

    def conversation(*messages: StoredMessage) -> Conversation:
        return Conversation({each.sequence: each for each in messages}, [], False)

    assert last_usage_of(conversation()) is None
    assert last_usage_of(conversation(answer, added)) == Usage(input=5, output=7)
    assert last_usage_of(conversation(answer, summary, added)) is None
