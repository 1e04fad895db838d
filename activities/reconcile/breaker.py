"""The breaker: whoever sees unusually much missing had better ask whether it looks at the right place."""

from typing import Final

MAX_DOUBTFUL: Final = 20
MAX_DOUBTFUL_SHARE: Final = 0.2
MIN_DOUBTFUL: Final = 5
"""Fewer than so many are never unusual, whatever share of all they are."""


def is_unusual(doubtful: int, examined: int) -> bool:
    """Whether so many of what was examined cannot be repaired without an operator."""
    return doubtful > MAX_DOUBTFUL or (doubtful >= MIN_DOUBTFUL and doubtful > MAX_DOUBTFUL_SHARE * examined)
