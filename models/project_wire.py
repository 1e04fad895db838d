"""Projects and their settings on the wire."""

import re
from typing import Annotated

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Read, Wire
from models.base import JsonObject
from models.project import Project
from models.view import View, example, unchanged

PROJECT = "prj_0198f2c3a1b27c3d8e4f5a6b7c8d9e0f"
RESERVED = {
    "PATH", "HOME", "SHELL", "USER", "LOGNAME", "PWD", "IFS", "ENV", "BASH_ENV", "PROMPT_COMMAND", "TMPDIR",
    "ANTHROPIC_API_KEY", "GITHUB_TOKEN", "GH_TOKEN", "E2B_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY",
}  # fmt: skip
RESERVED_PREFIXES = ("LD_", "GIT_", "BASH_FUNC_", "CODECOURIER_", "E2B_")
"""Names that would change how our own commands run, or that hold keys which belong into provider keys."""


class ProjectRead(Read):
    """What an API key opens."""

    model_config = example(
        id=PROJECT, _id=PROJECT, name="Storefront", slug="storefront", githubRepoUrl="https://github.com/org/repo",
        createdAt="2026-01-15T10:00:00.000Z", _creationTime=1768471200000,
    )  # fmt: skip
    name: str
    slug: str
    github_repo_url: str | None
    created_at: Moment
    creation_time: Annotated[int, Field(alias="_creationTime")]
    """`createdAt` in milliseconds since 1970, as older clients know it."""


class ProjectUpdate(Body):
    """Only the given fields change; `null` clears the repository."""

    model_config = example(name="Storefront", githubRepoUrl="https://github.com/org/repo")
    name: Annotated[str, Field(min_length=1, max_length=200)] = unchanged()
    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)] = unchanged()
    github_repo_url: Annotated[str, Field(max_length=500)] | None = unchanged()


def _or_plain(schema: JsonDict) -> None:
    schema["type"] = ["object", "string"]


class EnvVar(Body):
    """A variable; a plain string is one that is no secret."""

    model_config = ConfigDict(json_schema_extra=_or_plain)
    value: Annotated[str, Field(max_length=32_768)]
    is_secret: bool = False

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: object) -> object:
        return {"value": given} if isinstance(given, str) else given


class EnvVarRead(Wire):
    value: str | None
    """None for a secret one: it is never shown again."""
    is_secret: bool


class SettingsRead(Read):
    """How the agents of this project work."""

    model_config = example(
        id=PROJECT, _id=PROJECT, sandboxSystemPrompt=None, claudeMd="# House rules",
        issueDiscoveryPrompt=None, learningConfig={}, gitCommitName="CodeCourier",
        gitCommitEmail="bot@example.com",
        envVars={
            "NODE_ENV": {"value": "test", "isSecret": False}, "NPM_TOKEN": {"value": None, "isSecret": True},
        },
    )  # fmt: skip
    sandbox_system_prompt: str | None
    claude_md: str | None
    issue_discovery_prompt: str | None
    learning_config: JsonObject
    git_commit_name: str
    git_commit_email: str
    env_vars: dict[str, EnvVarRead]


class SettingsUpdate(Body):
    """Only the given fields change.  Variables are merged by name; `null` removes one."""

    model_config = example(claudeMd="# House rules", envVars={"NODE_ENV": "test", "OLD_NAME": None})
    sandbox_system_prompt: Annotated[str, Field(max_length=100_000)] | None = unchanged()
    claude_md: Annotated[str, Field(max_length=200_000)] | None = unchanged()
    issue_discovery_prompt: Annotated[str, Field(max_length=100_000)] | None = unchanged()
    learning_config: JsonObject = unchanged()
    git_commit_name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^<>\n\r]+$")] = (
        unchanged()
    )
    git_commit_email: Annotated[str, Field(max_length=200, pattern=r"^[^@\s<>]+@[^@\s<>]+$")] = unchanged()
    env_vars: dict[str, EnvVar | None] = unchanged()

    @field_validator("env_vars")
    @classmethod
    def _names_are_free(cls, values: dict[str, EnvVar | None]) -> dict[str, EnvVar | None]:
        if len(values) > 200:
            raise ValueError("a project has at most 200 environment variables")
        for name in values:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
                raise ValueError(f"'{name[:128]}' is no name for an environment variable")
            if name.upper() in RESERVED or name.upper().startswith(RESERVED_PREFIXES):
                raise ValueError(f"'{name}' is reserved: the platform sets it itself")
        return values


PROJECTS = View(
    ProjectRead,
    Project,
    "Project",
    shown={"creation_time": "(extract(epoch FROM project.created_at) * 1000)::bigint"},
)
