"""Quality scores: what an evaluator or a judge gave, and why."""

from kit.schemas import Wire


class RankedBranch(Wire):
    """One of the branches that a judge compared."""

    branch: str
    """The branch's name."""
    score: int
    """From 0, useless, to 100, could not be better."""
    reasons: list[str]
    """What decided it."""
