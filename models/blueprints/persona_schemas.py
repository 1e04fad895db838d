"""Personas on the wire, and what is asked of one as a whole."""

from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from kit.schemas import Body, Read, Title, UtcTimestamp
from models.blueprints.persona import Persona, StepRole, ThinkingEffort
from models.json_view import JsonView, example, unset_field

PERSONA = "per_0198f2c4b1c27d3e8f4a5b6c7d8e9f0a"
AssetReferences = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=50)]
"""Ids or names of assets."""


def _parse_cli_id(cli: object) -> object:
    if cli in ("codex", "opencode"):
        raise ValueError(f"'{cli}' is not available here: use 'claude', which runs every model there is")
    return cli


CliId = Annotated[Literal["claude", "claude_code"], BeforeValidator(_parse_cli_id)]
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
    created_at: UtcTimestamp
    """When it was created."""
    updated_at: UtcTimestamp
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
    selected_skills: AssetReferences = Field(default_factory=list)
    """Skills that it has, by id or name."""
    selected_commands: AssetReferences = Field(default_factory=list)
    """Commands that it has, by id or name."""
    selected_scripts: AssetReferences = Field(default_factory=list)
    """Scripts that it may run, by id or name."""
    is_enabled: bool = True
    """Whether runs may use it."""


class PersonaUpdate(Body):
    """Only the given fields change; `null` clears those that may be empty."""

    model_config = example(personaId=PERSONA, thinkingEffort="max", description=None)
    persona_id: Annotated[str, Field(validation_alias=AliasChoices("personaId", "id"))]
    """The persona; `id` is understood, too."""
    name: Title = unset_field()
    """What people call it."""
    type: StepRole = unset_field()
    """The role of the steps that it is made for."""
    description: Annotated[str, Field(max_length=2000)] | None = unset_field()
    """What it is for."""
    cli_id: CliId = unset_field()
    """The tool that does its steps."""
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = unset_field()
    """The model; null for the server's default."""
    thinking_effort: ThinkingEffort = unset_field()
    """How much its model thinks."""
    instructions: Annotated[str, Field(max_length=100_000)] | None = unset_field()
    """What it is told besides the task."""
    context_id: str | None = unset_field()
    """The context that it is told."""
    selected_skills: AssetReferences = unset_field()
    """Skills that it has, by id or name."""
    selected_commands: AssetReferences = unset_field()
    """Commands that it has, by id or name."""
    selected_scripts: AssetReferences = unset_field()
    """Scripts that it may run, by id or name."""
    is_enabled: bool = unset_field()
    """Whether runs may use it."""


PERSONAS = JsonView(PersonaRead, Persona, "Persona")


PersonaId = Annotated[str, Field(validation_alias=AliasChoices("personaId", "id"))]


class PersonaDuplicate(Body):
    """Which persona to copy."""

    model_config = example(personaId=PERSONA, name="Careful reviewer, cheaper")
    persona_id: PersonaId
    """The persona; `id` is understood, too."""
    name: Title | None = None
    """The name of the copy; `Copy of …` when it is left out."""


class PersonaToggle(Body):
    """Whether runs may use a persona."""

    model_config = example(personaId=PERSONA, isEnabled=False)
    persona_id: PersonaId
    """The persona; `id` is understood, too."""
    is_enabled: bool | None = None
    """Whether it is enabled from now on; the opposite of what it is when it is left out."""
