"""What is asked of a persona as a whole."""

from typing import Annotated

from pydantic import AliasChoices, Field

from kit.schemas import Body, Title
from models.blueprints.persona_schemas import PERSONA
from models.json_view import example

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
