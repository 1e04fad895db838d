"""Results that an agent's own code forged are held to what the toolbox would say."""

import json

from gateways.sandboxes.sandbox import MAX_DURATION_MS, MAX_RESULT_CHARS, ToolResult
from gateways.toolbox.outcome import MAX_CONTENT_CHARS


def result(**forged: object) -> ToolResult:
    told = {"content": "fine", "isError": False, "durationMs": 5, "truncated": False, **forged}
    return ToolResult.model_validate_json(json.dumps(told))


def test_forged_content_is_bounded_at_the_tools_maximum() -> None:
    content = "head " + 2_000_000 * "x" + " tail"
    bounded = result(content=content).content
    assert len(bounded) < MAX_RESULT_CHARS + 100
    assert bounded.startswith("head ")
    assert bounded.endswith(" tail")
    assert "characters left out" in bounded


def test_content_of_the_toolbox_is_left_as_it_is() -> None:
    content = (
        MAX_CONTENT_CHARS * "x" + "\n\n[… 5 characters left out; the whole output is in /home/user/x …]\n\n"
    )
    assert result(content=content).content == content


def test_forged_numbers_fit_the_database() -> None:
    forged = result(exitCode=10**30, durationMs=-(10**30))
    assert (forged.exit_code, forged.duration_ms) == (255, 0)
    assert result(durationMs=10**30).duration_ms == MAX_DURATION_MS
    assert result(exitCode=0).exit_code == 0


def test_forged_content_holds_no_nul() -> None:
    assert result(content="a\0b").content == "a\u2400b"
