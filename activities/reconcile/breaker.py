"""The breaker: whoever sees unusually much missing had better ask whether it looks at the right place."""

from typing import Final

MOST: Final = 20
MOST_SHARE: Final = 0.2
LEAST: Final = 5
"""Fewer than so many are never unusual, whatever share of all they are."""


def is_unusual(doubtful: int, examined: int) -> bool:
    """Whether so many of what was examined cannot be repaired without an operator."""
    return doubtful > MOST or (doubtful >= LEAST and doubtful > MOST_SHARE * examined)
