"""What the finished steps of a run put out: later steps are told of it, and so is the pull request."""

from dataclasses import dataclass
from typing import Final

from models.run_step import Verdict

OUTPUTS: Final = """(
    SELECT coalesce(json_agg(json_build_array(
        index, iteration, label, coalesce(output, ''), verdict, feedback) ORDER BY id), '[]')
    FROM run_step WHERE run_id = run.id AND status = 'completed'
)"""
"""A part of a statement past the session (ADR 7) that reads `run`: in the order of their work."""
Row = tuple[int, int, str, str, str | None, str | None]
"""One of `OUTPUTS`."""


@dataclass(frozen=True)
class StepOutput:
    index: int
    iteration: int
    label: str
    output: str
    verdict: Verdict | None
    feedback: str | None


def step_outputs(rows: list[Row]) -> list[StepOutput]:
    """What `OUTPUTS` gave."""
    return [
        StepOutput(index, iteration, label, output, Verdict(verdict) if verdict else None, feedback)
        for index, iteration, label, output, verdict, feedback in rows
    ]
