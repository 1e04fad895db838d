"""What agents write on GitHub's pages can be read, and does nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.github.inert_markdown import neutralize_markdown

LIVE = [
    "@octocat",
    "a@b.example",
    "#12",
    "octo/repo#12",
    "GH-12",
    "https://evil.example",
    "http:\\//evil.example",
    "www.evil.example",
    "[text](https://evil.example)",
    "![x](/pixel.png)",
    "[text][ref]",
    "[ref]: /there",
    "<https://evil.example>",
    "<img src=x>",
    "<!-- codecourier:verification -->",
    "</details>",
    "&#64;octocat",
    "&commat;octocat",
    "ftp://evil.example",
    "org/repo@0123456",
    "fixes #1, CLOSES gh-2",
]
EFFECTS = re.compile(r"@\w|#\d|\bGH-\d|:\\*/|\bwww\.|\]\(|\]\[|\]:|<[\w/!?]|&[\w#]", re.IGNORECASE)


@pytest.mark.parametrize("text", LIVE)
def test_nothing_live_is_left_and_all_looks_the_same(text: str) -> None:
    clean = neutralize_markdown(f"See {text}.")
    assert not EFFECTS.search(clean)
    assert clean.replace("\u200b", "") == f"See {text}."


@given(st.lists(st.sampled_from([*LIVE, " ", "\n", "x", "`", "\\", "@", "#", "<", "&", "]", ":"])))
def test_nothing_live_is_left_of_any_mixture(parts: list[str]) -> None:
    clean = neutralize_markdown("".join(parts))
    assert not EFFECTS.search(clean)
    assert neutralize_markdown(clean) == clean


def test_plain_words_stay_as_they_are() -> None:
    text = "# What\n\n- **bold**, `code`: 1 < 2 & 3 > 2, a [box] and `f(x)[0]`\n\n```py\nx = y @ z\n```\n"
    assert neutralize_markdown(text) == text
