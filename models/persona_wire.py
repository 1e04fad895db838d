"""Personas on the wire."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from kit.wire import Body, Moment, Read
from models.persona import Persona, StepRole, ThinkingEffort
from models.view import View, example, unchanged

PERSONA = "per_0198f2c4b1c27d3e8f4a5b6c7d8e9f0a"
Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=50)]
"""Ids or names of assets."""


class PersonaRead(Read):
    """Who works on a step: which model, with which effort, instructions and assets."""

    model_config = example(
        id=PERSONA, _id=PERSONA, name="Careful reviewer", type="reviewer", description="Reads every line",
        cliId="claude", model="claude-sonnet-5-5", thinkingEffort="high", instructions="Look for races.",
        contextId=None, selectedSkills=[], selectedCommands=[], selectedScripts=[], isEnabled=True,
        createdAt="2026-01-15T10:00:00.000Z", updatedAt="2026-01-15T10:00:00.000Z",
    )  # fmt: skip
    name: str
    type: StepRole
    description: str | None
    cli_id: str
    model: str | None
    thinking_effort: ThinkingEffort
    instructions: str | None
    context_id: str | None
    selected_skills: list[str]
    selected_commands: list[str]
    selected_scripts: list[str]
    is_enabled: bool
    created_at: Moment
    updated_at: Moment


class PersonaCreate(Body):
    model_config = example(
        name="Careful reviewer", type="reviewer", thinkingEffort="high", instructions="Look for races."
    )
    name: Name
    type: StepRole
    description: Annotated[str, Field(max_length=2000)] | None = None
    cli_id: Literal["claude"] = "claude"
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    thinking_effort: ThinkingEffort = ThinkingEffort.medium
    instructions: Annotated[str, Field(max_length=100_000)] | None = None
    context_id: str | None = None
    selected_skills: Names = Field(default_factory=list)
    selected_commands: Names = Field(default_factory=list)
    selected_scripts: Names = Field(default_factory=list)
    is_enabled: bool = True


class PersonaUpdate(Body):
    """Only the given fields change; `null` clears those that may be empty."""

    model_config = example(personaId=PERSONA, thinkingEffort="max", description=None)
    persona_id: Annotated[str, Field(validation_alias=AliasChoices("personaId", "id"))]
    name: Name = unchanged()
    type: StepRole = unchanged()
    description: Annotated[str, Field(max_length=2000)] | None = unchanged()
    cli_id: Literal["claude"] = unchanged()
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = unchanged()
    thinking_effort: ThinkingEffort = unchanged()
    instructions: Annotated[str, Field(max_length=100_000)] | None = unchanged()
    context_id: str | None = unchanged()
    selected_skills: Names = unchanged()
    selected_commands: Names = unchanged()
    selected_scripts: Names = unchanged()
    is_enabled: bool = unchanged()


PERSONAS = View(PersonaRead, Persona, "Persona")
