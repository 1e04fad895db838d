"""From stored rows to a valid Messages API conversation, and what to do when it outgrows the model's window.

Pure functions: the same rows always give the same messages, so a turn can be repeated by any worker.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, JsonValue
from typing_extensions import TypedDict

from models.agent.sections import trusted_section, untrusted_section

Block = dict[str, JsonValue]
"""A content block of the Messages API as plain JSON: `{"type": "text", "text": …}` and so on."""


class Message(TypedDict):
    role: Literal["user", "assistant"]
    content: list[Block]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Usage(_Frozen):
    """Tokens of one turn; `input` excludes what was read from or written to the prompt cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def context(self) -> int:
        """Tokens that the conversation held after this turn."""
        return self.input + self.output + self.cache_read + self.cache_write_5m + self.cache_write_1h


class UserText(_Frozen):
    text: str
    images: tuple[Block, ...] = ()
    """Shown before the text."""


class AssistantTurn(_Frozen):
    blocks: tuple[Block, ...]


class ToolResult(_Frozen):
    tool_use_id: str
    content: str
    is_error: bool = False


class Compaction(_Frozen):
    """From here on the messages before `point`, except the first, are replaced by `summary`."""

    point: int
    summary: str


Entry = UserText | AssistantTurn | ToolResult | Compaction
"""One stored row, in the order of its sequence; results follow the turn that asked for them."""

BYTES_PER_TOKEN: Final = 3
"""Low on purpose: an estimate that is too high compacts early, one that is too low overflows."""
SUMMARY_TOKENS: Final = 4_000
"""What a summary is reckoned to take."""
SUMMARY_MAX_TOKENS: Final = 16_000
"""`max_tokens` of the turn that writes one: thoughts count too."""
MAX_COMPACTED_SHARE: Final = 0.8
"""A compaction must bring the conversation below this part of its size, or it would soon be needed again."""

INTERRUPTED: Final = "The call was interrupted and left no result. Check the state before you repeat it."
NO_OUTPUT: Final = "(no output)"
SUMMARY_HEADER: Final = "[Summary of the work so far; the messages it stands for were removed.]\n"
_SUMMARY_INSTRUCTION: Final = """\
Above is the record of your work on the task so far. Its oldest part will be removed and replaced by what you
write now. Write for yourself, so that you can go on without loss: what was asked, word for word where wording
matters; what you found out and decided, and why; every file you changed, and how; commands that work; what
failed; what is left to do, next step first. Answer with the summary only."""
_THINKING: Final = ("thinking", "redacted_thinking")


def assemble(entries: Iterable[Entry]) -> list[Message]:
    """Messages that the API accepts, from the rows of one session in order.

    Every tool call is followed by its result at the head of the next user message (calls without a recorded
    result get an error that says so), consecutive texts of one role are one message, and what the API would
    refuse (blank texts, empty turns, thoughts that lead to nothing) is left out.
    Raises ValueError when the first words are not the user's.
    """
    rows = list(entries)
    messages: list[Message] = []
    for index, row in enumerate(rows):
        if isinstance(row, UserText):
            _append_blocks(messages, "user", _drop_unsendable([*row.images, text_block(row.text)]))
        elif isinstance(row, AssistantTurn):
            blocks, results = _drop_unsendable(row.blocks), _results_after(rows, index)
            _append_blocks(messages, "assistant", blocks)
            _append_blocks(messages, "user", [_result(call, results.get(call)) for call in _call_ids(blocks)])
        elif isinstance(row, Compaction):
            messages = _replace_with_summary(messages, row.point, row.summary)
    if messages and messages[0]["role"] != "user":
        raise ValueError("A conversation must begin with a user's text, not with an assistant's turn.")
    return messages


def _results_after(rows: Sequence[Entry], index: int) -> dict[str, ToolResult]:
    """The results of a turn's calls, the first one of each: models may use an id again in a later turn."""
    results: dict[str, ToolResult] = {}
    for row in rows[index + 1 :]:
        if isinstance(row, AssistantTurn):
            break
        if isinstance(row, ToolResult):
            results.setdefault(row.tool_use_id, row)
    return results


def text_block(text: str) -> Block:
    return {"type": "text", "text": text}


def truncate(text: str, limit: int, *, kept_at: str | None = None) -> str:
    """At most `limit` characters: the head and the tail, and between them a note of how much was left out.

    kept_at: where the whole text can be read, for the note.
    """
    if len(text) <= limit:
        return text
    where = f"; the whole is in {kept_at}" if kept_at else ""
    room = limit - len(_omission_note(len(text), where))
    if room < 0:
        return text[: max(limit, 0)]
    tail = room // 2
    return text[: room - tail] + _omission_note(len(text) - room, where) + text[len(text) - tail :]


def estimate_tokens(value: str | Message | Sequence[Message]) -> int:
    """About how many tokens this takes; never less than one for what is not empty."""
    size = len(value.encode(errors="replace")) if isinstance(value, str) else len(orjson.dumps(value))
    return -(-size // BYTES_PER_TOKEN)


def needs_compaction(usage: Usage, window: int, reserve: int, *, added: int = 0) -> bool:
    """Whether the next turn may overflow the window.

    usage: of the last turn, or `Usage()` if the conversation was compacted after it.
    reserve: tokens to keep free for the next answer.
    added: estimated tokens of what came since that turn; after a compaction, of all messages.
    """
    return usage.context + added + reserve > window


def compaction_point(
    messages: Sequence[Message], keep_tokens: int, *, summary_tokens: int = SUMMARY_TOKENS
) -> int | None:
    """Where to cut: messages 1 to `point` give way to a summary, the first and those from `point` on stay.

    The point is always an assistant's message, so that no result loses its call.  As many messages stay as
    fit into `keep_tokens`, and always the last exchange.  None when they all fit, or when cutting would not
    pay: see `MAX_COMPACTED_SHARE`.
    """
    turns = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    if not turns:
        return None
    sizes = [estimate_tokens(message) for message in messages]
    point = next((index for index in turns if sum(sizes[index:]) <= keep_tokens), turns[-1])
    after = estimate_tokens(_replace_with_summary(messages, point, "")) + summary_tokens
    return point if after <= MAX_COMPACTED_SHARE * estimate_tokens(messages) else None


def compact_messages(messages: Sequence[Message], point: int, summary: str) -> list[Message] | None:
    """The messages with those from 1 to `point` replaced; None if the summary is blank or saves too little.

    Only a compaction that is not None may be stored as a `Compaction` row.
    """
    shorter = _replace_with_summary(messages, point, summary)
    return (
        shorter
        if summary.strip() and estimate_tokens(shorter) <= MAX_COMPACTED_SHARE * estimate_tokens(messages)
        else None
    )


def summary_request(
    messages: Sequence[Message], point: int, *, piece: int = 4_000, limit: int = 400_000
) -> list[Message]:
    """Messages of a turn without tools that asks for the summary of everything before `point`.

    The record is told as one text, as calls and results without tools would be refused.
    """
    record = to_record(messages[:point], piece=piece, limit=limit)
    text = f"{trusted_section('record', record)}\n\n{_SUMMARY_INSTRUCTION}"
    return [{"role": "user", "content": [text_block(text)]}]


def to_record(messages: Sequence[Message], *, piece: int, limit: int) -> str:
    """Messages as one text, without thoughts.

    piece, limit: characters that one part of a message and the whole record are cut to.
    """
    parts = (
        untrusted_section(message["role"], truncate(told, piece))
        for message in messages
        for told in _record_parts(message)
    )
    return truncate("\n".join(parts), limit)


def _append_blocks(messages: list[Message], role: Literal["user", "assistant"], blocks: list[Block]) -> None:
    if not blocks:
        return
    if messages and messages[-1]["role"] == role:
        messages[-1] = {"role": role, "content": [*messages[-1]["content"], *blocks]}
    else:
        messages.append({"role": role, "content": blocks})


def _drop_unsendable(blocks: Iterable[Block]) -> list[Block]:
    """Without blank texts, and without thinking at the end: the API refuses both."""
    kept = [block for block in blocks if block["type"] != "text" or str(block["text"]).strip()]
    while kept and kept[-1]["type"] in _THINKING:
        kept.pop()
    return kept


def _call_ids(blocks: Iterable[Block]) -> list[str]:
    return [str(block["id"]) for block in blocks if block["type"] == "tool_use"]


def _result(call_id: str, result: ToolResult | None) -> Block:
    content = INTERRUPTED if result is None else result.content if result.content.strip() else NO_OUTPUT
    block: Block = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return {**block, "is_error": True} if result is None or result.is_error else block


def _omission_note(characters: int, where: str) -> str:
    return f"\n[… {characters:,} characters left out{where} …]\n"


def _replace_with_summary(messages: Sequence[Message], point: int, summary: str) -> list[Message]:
    if not 1 <= point < len(messages) or messages[point]["role"] != "assistant":
        raise ValueError(
            f"Message {point} of {len(messages)} is not an assistant's: it cannot follow a summary."
        )
    first = [block for block in messages[0]["content"] if not _is_summary(block)]
    return [{"role": "user", "content": [*first, text_block(SUMMARY_HEADER + summary)]}, *messages[point:]]


def _is_summary(block: Block) -> bool:
    return block["type"] == "text" and str(block["text"]).startswith(SUMMARY_HEADER)


def _record_parts(message: Message) -> Iterator[str]:
    """Each block of a message in words; thoughts are left out."""
    for block in message["content"]:
        if block["type"] == "text":
            yield str(block["text"])
        elif block["type"] == "tool_use":
            yield f"called {block['name']}: {orjson.dumps(block['input']).decode()}"
        elif block["type"] == "tool_result":
            yield f"{'failed' if block.get('is_error') else 'result'}: {block['content']}"
