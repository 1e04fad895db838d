"""The state of the sweeps in words, for people who look after an installation."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from models.base import now
from models.reconcile.installation import Installation
from models.reconcile.sweep import Sweep, SweepName

REFUSAL_SHOWN_FOR: Final = timedelta(days=1)
"""How long a refusal is worth telling."""
_SWEEP_PHRASES: Final = {
    SweepName.start: "what was accepted was last started",
    SweepName.reconcile: "all was last looked at",
}


class SweepSummary(NamedTuple):
    name: str
    is_good: bool
    text: str


def summarize_sweeps(installation: Installation, sweeps: dict[SweepName, Sweep]) -> list[SweepSummary]:
    """One line for each sweep, and one for a worker that refused to sweep, if one did lately."""
    lines = [_summarize_sweep(name, sweeps.get(name)) for name in SweepName]
    refused_at = installation.refused_at
    if refused_at is not None and refused_at > now() - REFUSAL_SHOWN_FOR:
        words = f"a worker refused to sweep {format_age(refused_at)} ago: {installation.refusal}"
        lines.append(SweepSummary("refused", False, words))
    return lines


def _summarize_sweep(name: SweepName, sweep: Sweep | None) -> SweepSummary:
    if sweep is None or sweep.good_at is None:
        words = f"{_SWEEP_PHRASES[name]}: never"
    else:
        words = f"{_SWEEP_PHRASES[name]} {format_age(sweep.good_at)} ago"
    if sweep is not None and sweep.problem is not None:
        words += f"; since then: {sweep.problem}"
    return SweepSummary(str(name), sweep is not None and not sweep.is_stale and sweep.problem is None, words)


def format_age(moment: datetime) -> str:
    """How long ago it was: `3 h`; two digits are all that matter."""
    seconds = max(0, round((now() - moment).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
