"""Faults: what can go wrong in production, each with a name, a sentence, and a way to make it happen.

    @fault("postgres-slow", "Every byte to and from PostgreSQL waits a fifth of a second.")
    async def postgres_slow(stage: Stage) -> None:
        stage.link("worker", "postgres").delay = 0.2
        await stage.accept_all()

A round of a fault is one such play on a fresh stage.  It accepts `stage.tries` jobs or more and does its
harm; it need not wait for the jobs' ends, nor heal its links: the table does that and calls the checker.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.chaos.environment import Expected, FaultEnvironment

Play = Callable[[FaultEnvironment], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    name: str
    sentence: str
    play: Play
    tries: int
    """Jobs of one round."""
    is_alone: bool
    """Whether it harms a server that the stages of other faults share."""
    expected: Expected
    """How its jobs may end."""
    workers: int
    """Workers of its stage; one that dies is replaced."""
    is_repeated: bool
    """Whether further rounds of it make up the number of runs that the table is to have."""


FAULTS: Final[dict[str, Fault]] = {}
"""By name, in the order of the table."""


def fault(
    name: str,
    sentence: str,
    *,
    tries: int = 4,
    alone: bool = False,
    expected: Expected = Expected.delivered,
    workers: int = 2,
    repeated: bool = False,
) -> Callable[[Play], Play]:
    """Put a play into the table."""

    def register(play: Play) -> Play:
        assert name not in FAULTS, f"two faults are called {name}"
        FAULTS[name] = Fault(name, sentence, play, tries, alone, expected, workers, repeated)
        return play

    return register
