"""Personas on the wire."""

from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from kit.schemas import Body, Moment, Read, Title
from models.blueprints.persona import Persona, StepRole, ThinkingEffort
from models.json_view import View, example, unchanged

PERSONA = "per_0198f2c4b1c27d3e8f4a5b6c7d8e9f0a"
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=50)]
"""Ids or names of assets."""


def _is_built_in(cli: object) -> object:
    if cli in ("codex", "opencode"):
        raise ValueError(f"'{cli}' is not available here: use 'claude', which runs every model there is")
    return cli


CliId = Annotated[Literal["claude", "claude_code"], BeforeValidator(_is_built_in)]
"""The agent's program; both names mean the same."""


class PersonaRead(Read):
    """Who works on a step: which model, with which effort, instructions and assets."""

    model_config = example(
        id=PERSONA,
        _id=PERSONA,
        name="Careful reviewer",
        type="reviewer",
        description="Reads every line",
        cliId="claude",
        model="claude-sonnet-5-5",
        thinkingEffort="high",
        instructions="Look for races.",
        contextId=None,
        selectedSkills=[],
        selectedCommands=[],
        selectedScripts=[],
        isEnabled=True,
        createdAt="2026-01-15T10:00:00.000Z",
        updatedAt="2026-01-15T10:00:00.000Z",
    )
    name: str
    """What people call it."""
    type: StepRole
    """The role of the steps that it is made for."""
    description: str | None
    """What it is for."""
    cli_id: str
    """The tool that does its steps."""
    model: str | None
    """The model; null for the server's default."""
    thinking_effort: ThinkingEffort
    """How much its model thinks."""
    instructions: str | None
    """What it is told besides the task."""
    context_id: str | None
    """The context that it is told."""
    selected_skills: list[str]
    """Skills that it has, by id or name."""
    selected_commands: list[str]
    """Commands that it has, by id or name."""
    selected_scripts: list[str]
    """Scripts that it may run, by id or name."""
    is_enabled: bool
    """Whether runs may use it."""
    created_at: Moment
    """When it was created."""
    updated_at: Moment
    """When it was changed last."""


class PersonaCreate(Body):
    """What a client says to create a persona."""

    model_config = example(
        name="Careful reviewer", type="reviewer", thinkingEffort="high", instructions="Look for races."
    )
    name: Title
    """What people call it."""
    type: StepRole
    """The role of the steps that it is made for."""
    description: Annotated[str, Field(max_length=2000)] | None = None
    """What it is for."""
    cli_id: CliId = "claude"
    """The tool that does its steps."""
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The model; null for the server's default."""
    thinking_effort: ThinkingEffort = ThinkingEffort.medium
    """How much its model thinks."""
    instructions: Annotated[str, Field(max_length=100_000)] | None = None
    """What it is told besides the task."""
    context_id: str | None = None
    """The context that it is told."""
    selected_skills: Names = Field(default_factory=list)
    """Skills that it has, by id or name."""
    selected_commands: Names = Field(default_factory=list)
    """Commands that it has, by id or name."""
    selected_scripts: Names = Field(default_factory=list)
    """Scripts that it may run, by id or name."""
    is_enabled: bool = True
    """Whether runs may use it."""


class PersonaUpdate(Body):
    """Only the given fields change; `null` clears those that may be empty."""

    model_config = example(personaId=PERSONA, thinkingEffort="max", description=None)
    persona_id: Annotated[str, Field(validation_alias=AliasChoices("personaId", "id"))]
    """The persona; `id` is understood, too."""
    name: Title = unchanged()
    """What people call it."""
    type: StepRole = unchanged()
    """The role of the steps that it is made for."""
    description: Annotated[str, Field(max_length=2000)] | None = unchanged()
    """What it is for."""
    cli_id: CliId = unchanged()
    """The tool that does its steps."""
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = unchanged()
    """The model; null for the server's default."""
    thinking_effort: ThinkingEffort = unchanged()
    """How much its model thinks."""
    instructions: Annotated[str, Field(max_length=100_000)] | None = unchanged()
    """What it is told besides the task."""
    context_id: str | None = unchanged()
    """The context that it is told."""
    selected_skills: Names = unchanged()
    """Skills that it has, by id or name."""
    selected_commands: Names = unchanged()
    """Commands that it has, by id or name."""
    selected_scripts: Names = unchanged()
    """Scripts that it may run, by id or name."""
    is_enabled: bool = unchanged()
    """Whether runs may use it."""


PERSONAS = View(PersonaRead, Persona, "Persona")
