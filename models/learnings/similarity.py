"""Whether two learnings say the same: by the words that they have in common."""

import re
from collections.abc import Set
from typing import Final

SAME: Final = 0.7
"""So many of all words of two learnings are in both when they say the same."""
SHORTEST: Final = 3
"""Shorter words (a, in, to) tell two learnings apart as little as case and punctuation do."""


def words(*texts: str | None) -> frozenset[str]:
    """What texts say, without case, punctuation, order, repetition and short words."""
    found = re.findall(r"\w+", " ".join(text for text in texts if text).casefold())
    return frozenset(word for word in found if len(word) >= SHORTEST) or frozenset(found)


def similarity(one: Set[str], other: Set[str]) -> float:
    """The Jaccard index: from 0, no word in common, to 1, the same words."""
    every = len(one | other)
    return len(one & other) / every if every else 1.0
