"""Reports of what a sweep found and did, added up for its row."""

from collections.abc import Iterable

from pydantic import BaseModel, Field

from activities.reconcile.isolation import Fault
from models.base import JsonObject
from models.reconcile.sweep import SweepName


class Tally(BaseModel):
    """Of one kind of thing."""

    found: int = 0
    repaired: int = 0
    left: int = 0
    """What could not be repaired, or only by an operator; it is found again."""

    def add(self, outcomes: Iterable[object]) -> None:
        """Each is one thing's: a fault, or whatever came of its repair."""
        for outcome in outcomes:
            self.found += 1
            if isinstance(outcome, Fault):
                self.left += 1
            else:
                self.repaired += 1


class Report(BaseModel):
    """What one part of a sweep came to."""

    found: dict[str, Tally] = Field(default_factory=dict)
    """By what was looked for; what was not found is not in it."""
    problem: str | None = None
    """Why it did not look at everything that is ours, or was kept from repairing."""

    @classmethod
    def of(cls, what: str, tally: Tally, problem: str | None = None) -> "Report":
        return cls(found={what: tally} if tally.found else {}, problem=problem)

    def __add__(self, other: "Report") -> "Report":
        problems = "; ".join(each for each in (self.problem, other.problem) if each)
        return Report(found={**self.found, **other.found}, problem=problems or None)


class SweepOrder(BaseModel):
    """Whose sweep it is; another installation's is refused."""

    installation: str | None


class SweepResult(SweepOrder):
    """What a sweep came to, all in all."""

    name: SweepName
    report: Report

    @property
    def found(self) -> JsonObject:
        return {name: tally.model_dump() for name, tally in self.report.found.items()}
