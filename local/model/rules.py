"""Rules between the parts of a request that Anthropic enforces: breaking one must not pass here either."""

import hashlib
from collections.abc import Callable, Collection

from local.model.requests import ApiError, CacheableBlock, CountRequest, Message, MessagesRequest, invalid

ROLES = {"user", "assistant", "system"}
IMAGE_SIGNATURES = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
MAX_IMAGE_BYTES = 5 * 1024 * 1024
ANTHROPIC_TOOL_NAMES = {
    "bash_20250124": "bash",
    "text_editor_20250124": "str_replace_editor",
    "text_editor_20250429": "str_replace_based_edit_tool",
    "text_editor_20250728": "str_replace_based_edit_tool",
}


def signature(thinking: str) -> str:
    """What proves that a thinking block came from this server, unchanged."""
    return hashlib.sha256(f"scripted:{thinking}".encode()).hexdigest()


def check(request: CountRequest, models: Collection[str]) -> None:
    """Raise the `ApiError` that Anthropic would answer, if the request breaks a rule."""
    if request.model not in models:
        raise ApiError(404, "not_found_error", f"model: {request.model}")
    for rule in _RULES:
        rule(request)


def _conversation(request: CountRequest) -> None:
    if not request.messages:
        raise invalid("messages: at least one message is required")
    for index, message in enumerate(request.messages):
        if message.role not in ROLES:
            raise invalid(f"messages.{index}.role: Input should be 'user', 'assistant' or 'system'")
        if not message.content:
            raise invalid(f"messages.{index}: all messages must have non-empty content")
    if request.messages[0].role != "user":
        raise invalid('messages: first message must use the "user" role')
    if request.messages[-1].role == "assistant":
        raise invalid(
            "This model does not support assistant message prefill."
            " The conversation must end with a user message."
        )


def _texts(request: CountRequest) -> None:
    for index, message in enumerate(request.turns):
        for block in message.content:
            if block.type == "text" and not block.text:
                raise invalid("messages: text content blocks must be non-empty")
            if block.type == "text" and not (block.text or "").strip():
                raise invalid("messages: text content blocks must contain non-whitespace text")
            if block.type == "thinking" and block.signature != signature(block.thinking or ""):
                raise invalid(f"messages.{index}.content: Invalid `signature` in `thinking` block")


def _images(request: CountRequest) -> None:
    for index, turn in enumerate(request.turns):
        for place, block in enumerate(turn.content):
            where = f"messages.{index}.content.{place}.image.source"
            if block.type != "image":
                continue
            if block.source is None or block.source.type != "base64":
                raise invalid(f"{where}: Field required")
            if block.source.media_type not in IMAGE_SIGNATURES:
                allowed = ", ".join(f"'{kind}'" for kind in IMAGE_SIGNATURES)
                raise invalid(f"{where}.base64.media_type: Input should be {allowed}")
            data = block.source.bytes
            if not data:
                raise invalid(f"{where}.base64.data: Input should be a valid base64 string")
            if len(data) > MAX_IMAGE_BYTES:
                raise invalid(f"{where}.base64: image exceeds 5 MB maximum: {len(data)} bytes")
            if not data.startswith(IMAGE_SIGNATURES[block.source.media_type]):
                raise invalid(f"{where}.base64.data: The image does not match its media type")


def _tool_pairs(request: CountRequest) -> None:
    turns, seen = request.turns, set[str]()
    for index, turn in enumerate(turns):
        used = turn.ids("tool_use")
        if turn.role != "assistant" and used:
            raise invalid(f"messages.{index}: `tool_use` blocks can only be in `assistant` messages")
        if len(set(used)) < len(used) or seen & set(used):
            raise invalid(f"messages.{index}: `tool_use` ids must be unique")
        seen |= set(used)
        following = turns[index + 1] if index + 1 < len(turns) else Message(role="user", content=[])
        if missing := [each for each in used if each not in following.ids("tool_result")]:
            raise invalid(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after:"
                f" {', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block"
                " in the next message."
            )
        _results_match(index, turn, turns[index - 1].ids("tool_use") if index else [])


def _results_match(index: int, turn: Message, used: list[str]) -> None:
    results = turn.ids("tool_result")
    for result in results:
        if result not in used:
            raise invalid(
                f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {result}. Each"
                " `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
    if len(set(results)) < len(results):
        raise invalid(f"messages.{index}: each tool_use must have a single result")
    types = [block.type for block in turn.content]
    if results and "tool_result" in types[len(results) :]:
        raise invalid(f"messages.{index}: `tool_result` blocks must come first in the content")


def _tools(request: CountRequest) -> None:
    names = [tool.name for tool in request.tools]
    if len(set(names)) < len(names):
        raise invalid("tools: Tool names must be unique.")
    for index, tool in enumerate(request.tools):
        if tool.type == "custom" and (tool.input_schema or {}).get("type") != "object":
            raise invalid(f"tools.{index}.custom.input_schema.type: Field required")
        if tool.type != "custom" and ANTHROPIC_TOOL_NAMES.get(tool.type) != tool.name:
            raise invalid(f"tools.{index}: no tool of type '{tool.type}' has the name '{tool.name}'")
    choice = request.tool_choice
    if choice is not None and choice.type == "tool" and choice.name not in names:
        raise invalid(f"tool_choice: Tool '{choice.name}' not found in provided tools")


def _thinking(request: CountRequest) -> None:
    if request.thinking is None or request.thinking.type != "enabled":
        return
    budget = request.thinking.budget_tokens or 0
    if budget < 1024:
        raise invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if isinstance(request, MessagesRequest) and request.max_tokens <= budget:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`")


def _cache_marks(request: CountRequest) -> None:
    blocks: list[CacheableBlock] = [
        *request.tools,
        *request.system_blocks,
        *(block for turn in request.turns for block in turn.content),
    ]
    marks = sum(item.cache_control is not None for item in blocks)
    marks += request.cache_control is not None
    if marks > 4:
        raise invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")


_RULES: list[Callable[[CountRequest], None]] = [
    _conversation,
    _texts,
    _images,
    _tool_pairs,
    _tools,
    _thinking,
    _cache_marks,
]
