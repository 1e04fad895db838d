"""Token buckets: so many requests in a span of time, all at once if need be, and then as they come back."""

import re
from dataclasses import dataclass
from typing import Final

SECONDS_BY_UNIT: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
UNLIMITED_TEXT: Final = "off"
_RATE_PATTERN: Final = re.compile(r"(\d{1,9})(?:/(second|minute|hour|day))?")
_ROUNDING: Final = 1e-3
"""Of a token: what moments that are rounded to microseconds may miss."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`quota` tokens, of which as many come back in `seconds`."""

    quota: int
    seconds: int

    def __post_init__(self) -> None:
        if self.quota < 1 or self.seconds < 1:
            raise ValueError("must allow at least one in a second or more")

    @property
    def spacing(self) -> float:
        """Seconds in which one token comes back."""
        return self.seconds / self.quota

    def __str__(self) -> str:
        unit = next((unit for unit, seconds in SECONDS_BY_UNIT.items() if seconds == self.seconds), None)
        return f"{self.quota}/{unit or f'{self.seconds} s'}"


def parse_rate(words: object) -> object:
    """`600/minute`, or `600` for the same, as a `Rate`; None for `off`.  ValueError for other words.

    What is no text is left to the schema.
    """
    if not isinstance(words, str):
        return words
    if words == UNLIMITED_TEXT:
        return None
    if (found := _RATE_PATTERN.fullmatch(words)) is None:
        raise ValueError("must be like 600/minute (second, minute, hour, day), 600 for the same, or off")
    return Rate(int(found[1]), SECONDS_BY_UNIT[found[2] or "minute"])


@dataclass(slots=True)
class Bucket:
    """Of one who is limited.  It is one moment: when the bucket would be full again (GCRA).

    Moments are seconds of any clock that does not go back.
    """

    full_at: float

    def available(self, at: float, rate: Rate) -> int:
        """Whole tokens that are in it."""
        missing = max(self.full_at - at, 0.0)
        return max(int((rate.seconds - missing) / rate.spacing + _ROUNDING), 0)

    def take(self, at: float, rate: Rate, wanted: int) -> int:
        """Take as many as are wanted and there; how many that is."""
        taken = min(wanted, self.available(at, rate))
        self.full_at = max(self.full_at, at) + taken * rate.spacing
        return taken

    def give_back(self, rate: Rate) -> None:
        """One that was taken."""
        self.full_at -= rate.spacing

    def seconds_until_available(self, at: float, rate: Rate) -> float:
        """Seconds until there is a token; 0 if there is one."""
        return max(self.full_at - at - (rate.seconds - rate.spacing), 0.0)
