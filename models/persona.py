"""Personas: who works on a step, with which model, effort and instructions."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ARRAY, Text
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Record, Timestamp, choice, now
from models.session_kind import SessionKind


class StepRole(StrEnum):
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


class ThinkingEffort(StrEnum):
    low = "low"
    medium = "medium"
    high = "high"
    max = "max"


class Persona(Record, table=True):
    id: str = Field(default_factory=prefixed("per"), primary_key=True)
    updated_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    name: str
    type: StepRole = Field(sa_type=choice(StepRole))
    description: str | None = None
    cli_id: str = "claude"
    model: str | None = None
    """None: the server's default model."""
    thinking_effort: ThinkingEffort = Field(default=ThinkingEffort.medium, sa_type=choice(ThinkingEffort))
    instructions: str | None = None
    context_id: str | None = None
    selected_skills: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    selected_commands: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    selected_scripts: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    is_enabled: bool = True
