"""Whatever was stored becomes messages that the Messages API accepts, and compaction keeps them so."""

import re

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateways.anthropic.conversation import (
    BYTES_PER_TOKEN,
    INTERRUPTED,
    MAX_COMPACTED_SHARE,
    SUMMARY_HEADER,
    AssistantTurn,
    Block,
    Compaction,
    Entry,
    Message,
    ToolResult,
    Usage,
    UserText,
    assemble,
    compact_messages,
    compaction_point,
    estimate_tokens,
    needs_compaction,
    summary_request,
    text_block,
    truncate,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(["", " ", "\n", "long " * 400])
THINKING: Block = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy with other tests."""


def call(id: str) -> Block:
    return {"type": "tool_use", "id": id, "name": "bash", "input": {"command": "ls"}}


@st.composite
def sessions(draw: st.DrawFn) -> list[Entry]:
    """Rows of a session: texts, turns with and without calls, results in any order, twice or missing."""
    entries: list[Entry] = [UserText(text="task: " + draw(TEXTS))]
    for turn in range(draw(st.integers(0, 6))):
        blocks = draw(st.lists(st.sampled_from([THINKING, text_block("so"), text_block(" ")]), max_size=3))
        calls = [f"call_{turn}_{number}" for number in range(draw(st.integers(0, 3)))]
        entries.append(AssistantTurn(blocks=(*blocks, *(call(name) for name in calls))))
        results = [
            ToolResult(tool_use_id=name, content=draw(TEXTS), is_error=draw(st.booleans()))
            for name in [*calls, *calls[:1], "call_unknown"]
            if draw(st.integers(0, 4))
        ]
        entries += draw(st.permutations(results))
        entries += [UserText(text=text) for text in draw(st.lists(TEXTS, max_size=2))]
    return entries


def assert_valid(messages: list[Message]) -> None:
    """The rules that the API enforces on a conversation."""
    roles = [message["role"] for message in messages]
    assert roles == ["user" if index % 2 == 0 else "assistant" for index in range(len(roles))]
    for index, message in enumerate(messages):
        blocks = message["content"]
        assert blocks
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        calls = [block["id"] for block in messages[index - 1]["content"] if block["type"] == "tool_use"]
        assert results == (calls if index else [])
        assert [block["tool_use_id"] for block in blocks[: len(results)]] == results, "results come first"
        assert all(str(block["text"]).strip() for block in blocks if block["type"] == "text")
        assert all(block["content"] for block in blocks if block["type"] == "tool_result")
        if message["role"] == "assistant":
            assert blocks[-1]["type"] != "thinking", "the last block may not be a thought"
            assert index + 1 < len(messages) or not any(block["type"] == "tool_use" for block in blocks)


@UNHURRIED
@given(sessions())
def test_every_session_is_a_valid_conversation(entries: list[Entry]) -> None:
    messages = assemble(entries)
    assert_valid(messages)
    assert assemble(entries) == messages
    told = [block for message in messages for block in message["content"]]
    said = [entry.text for entry in entries if isinstance(entry, UserText) and entry.text.strip()]
    assert [
        block["text"] for m in messages if m["role"] == "user" for block in m["content"] if "text" in block
    ] == said
    called = [b for e in entries if isinstance(e, AssistantTurn) for b in e.blocks if b["type"] == "tool_use"]
    assert [block for block in told if block["type"] == "tool_use"] == called


@UNHURRIED
@given(sessions(), st.integers(0, 40))
def test_more_rows_only_add_to_the_messages_before(entries: list[Entry], cut_at: int) -> None:
    """So the prompt cache keeps fitting: all but the last message stay as they were."""
    turns = [index for index, entry in enumerate(entries) if isinstance(entry, AssistantTurn)]
    at = turns[cut_at % len(turns)] if turns else len(entries)
    before = assemble(entries[:at])
    assert assemble(entries)[: len(before) - 1] == before[:-1]


@UNHURRIED
@given(sessions(), st.integers(0, 900), st.text(max_size=80))
def test_compaction_keeps_pairs_and_the_first_message_and_shrinks(
    entries: list[Entry], keep: int, summary: str
) -> None:
    messages = assemble(entries)
    point = compaction_point(messages, keep, summary_tokens=20)
    if point is None:
        return
    assert point > 2
    assert messages[point]["role"] == "assistant"
    shorter = compact_messages(messages, point, summary)
    if shorter is None:
        assert not summary.strip() or len(orjson.dumps(summary)) > 20 * BYTES_PER_TOKEN
        return
    assert_valid(shorter)
    assert shorter[0]["content"][:-1] == messages[0]["content"]
    assert shorter[1:] == messages[point:]
    assert estimate_tokens(shorter) <= MAX_COMPACTED_SHARE * estimate_tokens(messages)
    tail_fits = sum(estimate_tokens(message) for message in messages[point:]) <= keep
    assert tail_fits or point == max(
        i for i, message in enumerate(messages) if message["role"] == "assistant"
    )
    assert assemble([*entries, Compaction(point=point, summary=summary)]) == shorter
    later = [*entries, Compaction(point=point, summary=summary), UserText(text="go on")]
    assert_valid(assemble(later))


@UNHURRIED
@given(sessions(), st.integers(0, 900))
def test_compacting_again_and_again_comes_to_an_end(entries: list[Entry], keep: int) -> None:
    messages, rounds = assemble(entries), 0
    while (point := compaction_point(messages, keep, summary_tokens=60)) is not None:
        shorter = compact_messages(messages, point, "in short")
        assert shorter is not None
        messages, rounds = shorter, rounds + 1
        assert sum(SUMMARY_HEADER in str(block.get("text")) for block in messages[0]["content"]) == 1
    assert rounds <= 1, "the same limit twice finds nothing more to cut"


def test_a_summary_that_saves_nothing_is_refused() -> None:
    messages = assemble(
        [UserText(text="task"), *(exchange for n in range(4) for exchange in exchange_rows(n))]
    )
    point = compaction_point(messages, 10, summary_tokens=10)
    assert point is not None
    assert compact_messages(messages, point, "x" * 100_000) is None
    assert compact_messages(messages, point, "  ") is None
    assert compaction_point(messages, 10, summary_tokens=100_000) is None
    assert compaction_point(messages[:3], 10, summary_tokens=1) is None


def exchange_rows(number: int) -> list[Entry]:
    return [
        AssistantTurn(blocks=(text_block("looking"), call(f"c{number}"))),
        ToolResult(tool_use_id=f"c{number}", content="line\n" * 200),
    ]


def test_a_call_without_a_result_says_so() -> None:
    messages = assemble([UserText(text="task"), AssistantTurn(blocks=(call("c1"),)), UserText(text="well?")])
    assert messages[-1]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": INTERRUPTED, "is_error": True},
        {"type": "text", "text": "well?"},
    ]


def test_the_first_of_two_results_of_a_call_counts() -> None:
    twice = [ToolResult(tool_use_id="c1", content=content) for content in ("first", "second")]
    messages = assemble([UserText(text="task"), AssistantTurn(blocks=(call("c1"),)), *twice])
    assert messages[-1]["content"] == [{"type": "tool_result", "tool_use_id": "c1", "content": "first"}]


def test_a_second_summary_replaces_the_first_one() -> None:
    rows: list[Entry] = [UserText(text="task"), *exchange_rows(0), *exchange_rows(1)]
    rows += [Compaction(point=3, summary="one"), *exchange_rows(2), Compaction(point=3, summary="two")]
    first, *rest = assemble(rows)
    assert first["content"] == [text_block("task"), text_block(SUMMARY_HEADER + "two")]
    assert rest == assemble([UserText(text="task"), *exchange_rows(2)])[1:]


def test_an_assistant_cannot_speak_first_and_a_summary_needs_a_place() -> None:
    with pytest.raises(ValueError, match="must begin with a user's text"):
        assemble([AssistantTurn(blocks=(text_block("hello"),))])
    with pytest.raises(ValueError, match="Message 0 of 1 is not an assistant's"):
        assemble([UserText(text="task"), Compaction(point=0, summary="s")])


def test_the_request_for_a_summary_tells_everything_before_the_point_without_tools() -> None:
    rows = [UserText(text="TASK"), *(row for n in range(4) for row in exchange_rows(n))]
    messages = assemble(rows)
    asked = summary_request(messages, 5, piece=120)
    assert_valid(asked)
    (block,) = asked[0]["content"]
    told = str(block["text"])
    assert "TASK" in told
    assert told.count('called bash: {"command":"ls"}') == 2
    assert told.count("characters left out") == 2
    assert told.endswith("Answer with the summary only.")
    assert len(str(summary_request(messages, 5, limit=300))) < 1_500
    assert summary_request(messages, 5, piece=120) == asked


@UNHURRIED
@given(st.text(max_size=400), st.integers(0, 300), st.none() | st.just("/tmp/out.txt"))
def test_cut_keeps_head_and_tail_within_the_limit(text: str, limit: int, kept_at: str | None) -> None:
    short = truncate(text, limit, kept_at=kept_at)
    assert len(short) <= limit or short == text
    assert len(short) <= max(limit, 0) or len(text) <= limit
    assert truncate(short, limit, kept_at=kept_at) == short
    if "characters left out" in short and "characters left out" not in text:
        head, _, rest = short.partition("\n[… ")
        count, _, rest = rest.partition(" characters left out")
        _, _, tail = rest.partition(" …]\n")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert int(count.replace(",", "")) == len(text) - len(head) - len(tail)
        assert kept_at is None or kept_at in short


def test_cut_keeps_as_much_of_the_tail_as_of_the_head() -> None:
    lines = "".join(f"line {number}\n" for number in range(1_000))
    short = truncate(lines, 200, kept_at="/tmp/out.txt")
    head, note, tail = re.split(
        r"(\n\[… 8,\d{3} characters left out; the whole is in /tmp/out.txt …\]\n)", short
    )
    assert len(short) == len(head) + len(note) + len(tail) == 200
    assert abs(len(head) - len(tail)) <= 1
    assert lines.startswith(head)
    assert lines.endswith(tail)


def test_compaction_is_due_when_the_next_answer_would_not_fit() -> None:
    usage = Usage(input=1_000, output=500, cache_read=7_000, cache_write_5m=400, cache_write_1h=100)
    assert usage.context == 9_000
    assert not needs_compaction(usage, 10_000, 1_000)
    assert needs_compaction(usage, 10_000, 1_001)
    assert needs_compaction(usage, 10_000, 900, added=101)


def test_an_estimate_is_never_below_the_truth_of_plain_words() -> None:
    words = "def add(left: int, right: int) -> int:\n    return left + right\n" * 50
    assert estimate_tokens(words) >= len(words) / 4
    assert estimate_tokens("") == 0
    assert estimate_tokens("a") == 1
    assert estimate_tokens([{"role": "user", "content": [text_block(words)]}]) > estimate_tokens(words)


def test_images_come_before_their_text_and_stay_when_the_rest_is_summed_up() -> None:
    image: Block = {"type": "image", "fileId": "file_1", "contentType": "image/png"}
    work: list[Entry] = [
        AssistantTurn(blocks=({"type": "text", "text": "x" * 20_000},)),
        UserText(text="Go on."),
        AssistantTurn(blocks=({"type": "text", "text": "Done."},)),
        UserText(text="More."),
    ]
    messages = assemble([UserText(text="Build it.", images=(image,)), *work])
    assert messages[0]["content"] == [image, {"type": "text", "text": "Build it."}]
    shorter = compact_messages(messages, 3, "It was built.")
    assert shorter is not None
    assert shorter[0]["content"][0] == image
    assert "fileId" not in str(summary_request(messages, 3))
