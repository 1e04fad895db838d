"""The document that agents are told: the learnings of a version as one text, for all roles or for one."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel

from models.agent.sections import escape_section_tags, trusted_section
from models.blueprints.persona import StepRole
from models.learnings.learning import Learning, LearningSeverity

_HEAD: Final = """\
# Learnings from earlier runs

Approved by the people of this project. Follow each of them where it fits the task.

"""
_SEVERITIES_DESCENDING: Final = [*reversed(LearningSeverity)]


class LearningEntry(BaseModel):
    """A learning as a version holds it: later changes of the learning do not touch it."""

    id: str
    description: str
    trigger: str | None = None
    correct_behavior: str | None = None
    severity: LearningSeverity
    category: str | None = None
    applicable_roles: list[StepRole] = []

    @classmethod
    def of(cls, learning: Learning) -> "LearningEntry":
        return cls.model_validate(learning.model_dump(include=set(cls.model_fields)))

    def applies_to(self, role: StepRole) -> bool:
        """Whether agents of this role are told; a learning that names no role is for every one."""
        return not self.applicable_roles or role in self.applicable_roles


def render_document(entries: Sequence[LearningEntry], role: StepRole | None = None) -> str:
    """The document of a role, or of all roles together; empty when there is nothing to tell.

    What `GET /learnings/preview` shows and what a system prompt holds both come from here.
    """
    told = [entry for entry in entries if role is None or entry.applies_to(role)]
    if not told:
        return ""
    told.sort(key=lambda entry: (_SEVERITIES_DESCENDING.index(entry.severity), entry.id))
    lines = "\n".join(_line(number, entry) for number, entry in enumerate(told, 1))
    return _HEAD + trusted_section("learnings", lines)


def roles_of(entries: Sequence[LearningEntry]) -> list[StepRole]:
    """The roles that are told anything."""
    return [role for role in StepRole if any(entry.applies_to(role) for entry in entries)]


def _line(number: int, entry: LearningEntry) -> str:
    labels = ", ".join(_quote(label) for label in (entry.severity.value, entry.category) if label)
    lines = [f"{number}. ({labels}) {_quote(entry.description)}"]
    if entry.trigger:
        lines.append(f"   When: {_quote(entry.trigger)}")
    if entry.correct_behavior:
        lines.append(f"   Do: {_quote(entry.correct_behavior)}")
    return "\n".join(lines)


def _quote(text: str) -> str:
    """A text within the document: it cannot end it, and its further lines stand under its first."""
    return escape_section_tags(text.strip()).replace("\n", "\n   ")
