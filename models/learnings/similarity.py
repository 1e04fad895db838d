"""Whether two learnings say the same: by the words that they have in common."""

import re
from collections.abc import Set
from typing import Final

MIN_SIMILARITY: Final = 0.7
"""So many of all words of two learnings are in both when they say the same."""
MIN_WORD_CHARS: Final = 3
"""Shorter words (a, in, to) tell two learnings apart as little as case and punctuation do."""


def significant_words(*texts: str | None) -> frozenset[str]:
    """What texts say, without case, punctuation, order, repetition and short words."""
    found = re.findall(r"\w+", " ".join(text for text in texts if text).casefold())
    return frozenset(word for word in found if len(word) >= MIN_WORD_CHARS) or frozenset(found)


def similarity(one: Set[str], other: Set[str]) -> float:
    """The Jaccard index: from 0, no word in common, to 1, the same words."""
    every = len(one | other)
    return len(one & other) / every if every else 1.0
