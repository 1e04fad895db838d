"""Contexts, skills, commands and scripts on the wire: listed without content, shown with it, and versions."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Title, UtcTimestamp
from models.assets.asset import PREFIXES, Asset, AssetKind, AssetVersion, ScriptLanguage
from models.assets.skill_files import SkillFile, SkillFiles
from models.json_view import JsonView, example, json_object_sql, timestamp_sql, unset_field

CONTEXT = "ctx_0198f2cbb1c27d3e8f4a5b6c7d8e9f0a"
SKILL = "skill_0198f2cbb1c27d3e8f4a5b6c7d8e9f0b"
COMMAND = "cmd_0198f2cbb1c27d3e8f4a5b6c7d8e9f0c"
SCRIPT = "scr_0198f2cbb1c27d3e8f4a5b6c7d8e9f0d"
VERSION = "ver_0198f2cbb1c27d3e8f4a5b6c7d8e9f0e"
_EXAMPLE_TIME = "2026-01-15T10:00:00.000Z"
_PUBLISHED: JsonDict = {
    "id": VERSION,
    "_id": VERSION,
    "version": 1,
    "publishedAt": _EXAMPLE_TIME,
    "publishedBy": "user_0198f2c0b1c27d3e8f4a5b6c7d8e9f0a",
}
_FILES: JsonDict = {"files": [{"name": "instructions.md", "content": "# React Component Generator"}]}
_CONTEXT: JsonDict = {
    "id": CONTEXT,
    "_id": CONTEXT,
    "name": "Architecture Guide",
    "createdAt": _EXAMPLE_TIME,
    "updatedAt": _EXAMPLE_TIME,
    "description": "Project architecture and coding standards",
}
_SKILL: JsonDict = {
    "id": SKILL,
    "_id": SKILL,
    "name": "React Component Generator",
    "createdAt": _EXAMPLE_TIME,
    "updatedAt": _EXAMPLE_TIME,
    "description": "Generates accessible, typed React components with tests",
}
_COMMAND: JsonDict = {
    "id": COMMAND,
    "_id": COMMAND,
    "name": "write-tests",
    "createdAt": _EXAMPLE_TIME,
    "updatedAt": _EXAMPLE_TIME,
    "description": "Write comprehensive unit tests for new code",
}
_SCRIPT: JsonDict = {
    "id": SCRIPT,
    "_id": SCRIPT,
    "name": "setup-dev-env",
    "createdAt": _EXAMPLE_TIME,
    "updatedAt": _EXAMPLE_TIME,
    "description": "Installs dependencies and sets up the development environment",
    "language": "bash",
}
_GUIDE = "# Architecture\n\nThis project uses..."
_TESTS = "Write unit tests using Vitest for all exported functions..."
_SETUP = "#!/bin/bash\nset -e\nnpm ci\necho 'Done'"


Description = Annotated[str, Field(max_length=2_000)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
"""The name of a command or a script."""
Content = Annotated[str, Field(max_length=200_000, pattern=r"\S")]
"""A text that is not blank."""


class VersionSummary(Read):
    """A version without what it holds."""

    model_config = example(**_PUBLISHED)
    version: int
    """Rises by one with every version of the asset."""
    published_at: UtcTimestamp
    """When it was published."""
    published_by: str
    """The member who published it."""


class VersionRead(VersionSummary):
    """A version, which never changes."""

    is_active: bool
    """Whether it is the one that is served to agents."""


class TextVersion(VersionRead):
    """A version of a context, a command or a script."""

    model_config = example(**_PUBLISHED, content=_GUIDE, isActive=True)
    content: str
    """The whole text."""


class SkillVersion(VersionRead):
    """A version of a skill."""

    model_config = example(**_PUBLISHED, **_FILES, isActive=True)
    files: list[SkillFile]
    """All of its files."""


class Activation(Read):
    """Which version is served to agents, for everything that starts from now on."""

    model_config = example(id=CONTEXT, _id=CONTEXT, activeVersion=2, activatedAt=_EXAMPLE_TIME)
    active_version: int
    """The number of the active version."""
    activated_at: UtcTimestamp
    """Since when it has been the active one."""


class AssetRead(Read):
    """What contexts, skills, commands and scripts have in common."""

    name: str
    """Unique among the project's assets of its kind."""
    description: str | None
    """For people; agents do not see it."""
    created_at: UtcTimestamp
    """When the asset was created."""
    updated_at: UtcTimestamp
    """When it was last changed, published or rolled back."""


class AssetSummary(AssetRead):
    """An asset as lists show it."""

    active_version: VersionSummary | None
    """The version that is served to agents; null when none was ever published."""


class ContextSummary(AssetSummary):
    """A context without its content."""

    model_config = example(**_CONTEXT, activeVersion=_PUBLISHED)


class SkillSummary(AssetSummary):
    """A skill without its files."""

    model_config = example(**_SKILL, activeVersion=_PUBLISHED)


class CommandSummary(AssetSummary):
    """A command without its content."""

    model_config = example(**_COMMAND, activeVersion=_PUBLISHED)


class ScriptSummary(AssetSummary):
    """A script without its content."""

    model_config = example(**_SCRIPT, activeVersion=_PUBLISHED)
    language: ScriptLanguage
    """Its interpreter."""


class TextAssetRead(AssetRead):
    """An asset whose versions are texts."""

    active_version: TextVersion | None
    """The version that is served to agents; null when none was ever published."""
    versions: list[int]
    """The numbers of all versions, the oldest first."""


class ContextRead(TextAssetRead):
    """A document about the project; it is part of the system prompt of agents whose persona names it."""

    model_config = example(
        **_CONTEXT, activeVersion={**_PUBLISHED, "content": _GUIDE, "isActive": True}, versions=[1]
    )


class CommandRead(TextAssetRead):
    """Instructions that a prompt invokes by their name, like `/write-tests`."""

    model_config = example(
        **_COMMAND, activeVersion={**_PUBLISHED, "content": _TESTS, "isActive": True}, versions=[1]
    )


class ScriptRead(TextAssetRead):
    """A program that runs in the sandbox, before or after a step that names it."""

    model_config = example(
        **_SCRIPT, activeVersion={**_PUBLISHED, "content": _SETUP, "isActive": True}, versions=[1]
    )
    language: ScriptLanguage
    """Its interpreter."""


class SkillRead(AssetRead):
    """Files that agents find in `.claude/skills` of their sandbox."""

    model_config = example(**_SKILL, activeVersion={**_PUBLISHED, **_FILES, "isActive": True}, versions=[1])
    active_version: SkillVersion | None
    """The version that is served to agents; null when none was ever published."""
    versions: list[int]
    """The numbers of all versions, the oldest first."""


class ContextCreate(Body):
    """A new context; with content, its version 1 is published at once."""

    model_config = example(
        name="Architecture Guide", description="Project architecture and coding standards", content=_GUIDE
    )
    name: Title
    """The header under which agents see it; unique among the project's contexts."""
    description: Description | None = None
    """What it contains, for people."""
    content: Content | None = None
    """The text of version 1; without it nothing is published yet."""


class ContextUpdate(Body):
    """Only the given fields change; content makes a new version, which is active at once."""

    model_config = example(content="# Architecture (Updated)\n\nThis project now uses...")
    name: Title = unset_field()
    """The header under which agents see it; unique among the project's contexts."""
    description: Description | None = unset_field()
    """What it contains, for people."""
    content: Content = unset_field()
    """The text of a new version."""


class SkillCreate(Body):
    """A new skill; with files, its version 1 is published at once."""

    model_config = example(
        name="React Component Generator", description="Generates typed React components", **_FILES
    )
    name: Title
    """Unique among the project's skills; the name of its folder is made of it."""
    description: Description | None = None
    """What it is for, for people."""
    files: SkillFiles | None = None
    """The files of version 1; without them nothing is published yet."""


class SkillUpdate(Body):
    """Only the given fields change; files change by publishing."""

    model_config = example(name="React & React Native Component Generator")
    name: Title = unset_field()
    """Unique among the project's skills."""
    description: Description | None = unset_field()
    """What it is for, for people."""


class SkillPublish(Body):
    """All files of a new version: they replace those of the one before."""

    model_config = example(**_FILES)
    files: SkillFiles
    """The complete new list."""


class CommandCreate(Body):
    """A new command; with content, its version 1 is published at once."""

    model_config = example(
        name="write-tests", description="Write comprehensive unit tests for new code", content=_TESTS
    )
    name: Identifier
    """Lowercase words joined by hyphens; unique among the project's commands."""
    description: Description | None = None
    """What it is for, for people."""
    content: Content | None = None
    """The instructions of version 1; without them nothing is published yet."""


class CommandUpdate(Body):
    """Only the given fields change; content changes by publishing."""

    model_config = example(description="Write comprehensive unit and integration tests")
    name: Identifier = unset_field()
    """Lowercase words joined by hyphens; unique among the project's commands."""
    description: Description | None = unset_field()
    """What it is for, for people."""


class ScriptCreate(Body):
    """A new script; with content, its version 1 is published at once."""

    model_config = example(
        name="setup-dev-env",
        description="Sets up the development environment",
        language="bash",
        content=_SETUP,
    )
    name: Identifier
    """Lowercase words joined by hyphens; unique among the project's scripts."""
    language: ScriptLanguage
    """The interpreter."""
    description: Description | None = None
    """What it is for, for people."""
    content: Content | None = None
    """The source of version 1; without it nothing is published yet."""


class ScriptUpdate(Body):
    """Only the given fields change; the source changes by publishing, the language never."""

    model_config = example(description="Full dev environment setup including DB migrations")
    name: Identifier = unset_field()
    """Lowercase words joined by hyphens; unique among the project's scripts."""
    description: Description | None = unset_field()
    """What it is for, for people."""


class TextPublish(Body):
    """The whole text of a new version."""

    model_config = example(content=_TESTS)
    content: Content
    """The new instructions of a command, or the new source of a script."""


R = TypeVar("R", bound=BaseModel)
_IS_ACTIVE = (
    "(SELECT asset.active_version FROM asset WHERE asset.id = asset_version.asset_id) = asset_version.version"
)


def _active_version_sql(**more: str) -> str:
    """SQL of an asset's active version, or null."""
    fields = json_object_sql(
        id="active.id",
        _id="active.id",
        version="active.version",
        publishedAt=timestamp_sql("active.published_at"),
        publishedBy="active.published_by",
        **more,
    )
    return (
        f"(SELECT {fields} FROM asset_version AS active"  # noqa: S608
        " WHERE active.asset_id = asset.id AND active.version = asset.active_version)"
    )


_VERSION_NUMBERS = (
    "(SELECT coalesce(json_agg(published.version ORDER BY published.version), '[]')"
    " FROM asset_version AS published WHERE published.asset_id = asset.id)"
)
_SUMMARY = {"active_version": _active_version_sql()}
_TEXT = {
    "active_version": _active_version_sql(content="active.content", isActive="true"),
    "versions": _VERSION_NUMBERS,
}
_BUNDLE = {
    "active_version": _active_version_sql(files="active.files", isActive="true"),
    "versions": _VERSION_NUMBERS,
}


class AssetView(JsonView[Asset, R]):
    """One kind of asset; all kinds share a table, and an id tells its kind by its prefix."""

    def __init__(self, read: type[R], kind: AssetKind, shown: dict[str, str]) -> None:
        super().__init__(read, Asset, kind.capitalize(), shown=shown)
        self.prefix = PREFIXES[kind]


CONTEXTS = AssetView(ContextSummary, AssetKind.context, _SUMMARY)
SKILLS = AssetView(SkillSummary, AssetKind.skill, _SUMMARY)
COMMANDS = AssetView(CommandSummary, AssetKind.command, _SUMMARY)
SCRIPTS = AssetView(ScriptSummary, AssetKind.script, _SUMMARY)
CONTEXT_DETAILS = AssetView(ContextRead, AssetKind.context, _TEXT)
SKILL_DETAILS = AssetView(SkillRead, AssetKind.skill, _BUNDLE)
COMMAND_DETAILS = AssetView(CommandRead, AssetKind.command, _TEXT)
SCRIPT_DETAILS = AssetView(ScriptRead, AssetKind.script, _TEXT)
TEXT_VERSIONS = JsonView(
    TextVersion, AssetVersion, "Version", keys=("version",), shown={"is_active": _IS_ACTIVE}
)
SKILL_VERSIONS = JsonView(
    SkillVersion, AssetVersion, "Version", keys=("version",), shown={"is_active": _IS_ACTIVE}
)
