"""Personas: who works on a step, with which model, effort and instructions."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ARRAY, Index, Text
from sqlmodel import Field

from kit.ids import prefixed
from models.agent.session_kind import SessionKind
from models.base import Timestamp, enum_column, now
from models.blueprints.copy_names import copy_name
from models.trash.trashable import Trashable, trash_indexes


class StepRole(StrEnum):
    """What a step is for. Steps of a `checker` or `reviewer` end an iteration by pass or fail, those of an
    `evaluator` or `judge` give a score from 0 to 100; all others end with a summary."""

    designer = "designer"
    checker = "checker"
    optimizer = "optimizer"
    prompter = "prompter"
    investigator = "investigator"
    planner = "planner"
    deep_dive = "deep-dive"
    reviewer = "reviewer"
    evaluator = "evaluator"
    judge = "judge"
    answerer = "answerer"
    custom = "custom"

    @property
    def kind(self) -> SessionKind:
        """What a session of this role has to end with: a summary, a verdict too, or a score too."""
        if self.gives_verdict:
            return SessionKind.checker
        return SessionKind.evaluator if self.gives_score else SessionKind.worker

    @property
    def gives_verdict(self) -> bool:
        """Whether the step ends an iteration by pass or fail."""
        return self in (StepRole.checker, StepRole.reviewer)

    @property
    def gives_score(self) -> bool:
        return self in (StepRole.evaluator, StepRole.judge)

    @property
    def assesses(self) -> bool:
        """Whether others rely on what the step says of the work, which it does not do itself."""
        return self.gives_verdict or self.gives_score


class ThinkingEffort(StrEnum):
    """How much a model thinks before it answers, from `low` to `max`."""

    low = "low"
    medium = "medium"
    high = "high"
    max = "max"


class Persona(Trashable, table=True):
    __table_args__ = (
        *trash_indexes("persona"),
        Index("persona_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index("persona_by_type", "project_id", "type", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "persona_disabled", "project_id", "id", postgresql_where="NOT is_enabled AND deleted_at IS NULL"
        ),
    )
    id: str = Field(default_factory=prefixed("per"), primary_key=True)
    updated_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    name: str
    type: StepRole = Field(sa_type=enum_column(StepRole))
    description: str | None = None
    cli_id: str = "claude"
    model: str | None = None
    """None: the server's default model."""
    thinking_effort: ThinkingEffort = Field(
        default=ThinkingEffort.medium, sa_type=enum_column(ThinkingEffort)
    )
    instructions: str | None = None
    context_id: str | None = None
    selected_skills: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    selected_commands: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    selected_scripts: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    is_enabled: bool = True

    def duplicate(self, name: str | None) -> "Persona":
        """A new persona that is the same, under another name."""
        own = {"id", "name", "created_at", "updated_at", "deleted_at", "deleted_by", "purged_at"}
        same = self.model_dump(exclude=own)
        return Persona(**same, name=name or copy_name(self.name))
