"""Figures that analytics of workflows and of personas share."""

from decimal import Decimal
from typing import Any

from sqlalchemy import extract

from kit.schemas import UsdAmount, Wire
from models.runs.run_step_schemas import TokenUsage


def success_rate(completed: int, failed: int) -> float | None:
    """The share that was completed among what came to an end of its own; None when nothing has."""
    return completed / (completed + failed) if completed + failed else None


def mean(sum: Decimal | float | None, count: int) -> float | None:
    return float(sum) / count if count and sum is not None else None


def seconds(begin: Any, end: Any) -> Any:
    """SQL of the seconds between two moments; NULL while one of them is missing."""
    return extract("epoch", end - begin)


class CostShare(Wire):
    """What the steps of one role with one model came to."""

    role: str
    """The role of the steps."""
    model: str
    """The model that they were done with."""
    steps: int
    """How many steps there were."""
    cost_usd: UsdAmount
    """What they cost in US dollars."""
    token_usage: TokenUsage
    """The tokens that they used."""
