"""Projects, their settings and their deletion on the wire."""

import re
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Title, UsdAmount, UtcTimestamp, Wire
from models.json_view import JsonView, example, unset_field
from models.projects.agent_config import AgentConfig, LearningConfig, StepAgentConfig
from models.projects.egress import EgressPolicy
from models.projects.project import MAX_VARIABLES, PROTECTED_PATHS, Project, TooManyVariables

PROJECT = "prj_0198f2c3a1b27c3d8e4f5a6b7c8d9e0f"
RESERVED_VARIABLES = {
    "PATH",
    "HOME",
    "SHELL",
    "USER",
    "LOGNAME",
    "PWD",
    "IFS",
    "ENV",
    "BASH_ENV",
    "PROMPT_COMMAND",
    "TMPDIR",
    "ANTHROPIC_API_KEY",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "E2B_API_KEY",
    "OPENAI_API_KEY",
    "OPENROUTER_API_KEY",
}
RESERVED_PREFIXES = ("LD_", "GIT_", "BASH_FUNC_", "CODECOURIER_", "E2B_")
"""Names that would change how our own commands run, or that hold keys which belong into provider keys."""


PathPattern = Annotated[str, Field(min_length=1, max_length=200)]


class ProjectRead(Read):
    """What an API key opens."""

    model_config = example(
        id=PROJECT,
        _id=PROJECT,
        name="Storefront",
        slug="storefront",
        githubRepoUrl="https://github.com/org/repo",
        createdAt="2026-01-15T10:00:00.000Z",
        _creationTime=1768471200000,
    )
    name: str
    """What people call it."""
    slug: str
    """Its name in addresses, unique in the installation."""
    github_repo_url: str | None
    """The repository that work is done on unless a request names another; null until it is set."""
    created_at: UtcTimestamp
    """When it was created."""
    creation_time: Annotated[int, Field(alias="_creationTime")]
    """`createdAt` in milliseconds since 1970, as older clients know it."""


class ProjectUpdate(Body):
    """Only the given fields change; `null` clears the repository."""

    model_config = example(name="Storefront", githubRepoUrl="https://github.com/org/repo")
    name: Title = unset_field()
    """What people call it."""
    slug: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)] = unset_field()
    """Its name in addresses: lower-case letters, digits and single hyphens between them, at most 100
    characters, unique in the installation."""
    github_repo_url: Annotated[str, Field(max_length=500)] | None = unset_field()
    """The repository that work is done on unless a request names another, as `https://github.com/owner/name`;
    null clears it."""


def _allow_plain_string(schema: JsonDict) -> None:
    schema["type"] = ["object", "string"]


class EnvVar(Body):
    """A variable; a plain string is one that is no secret."""

    model_config = ConfigDict(json_schema_extra=_allow_plain_string)
    value: Annotated[str, Field(max_length=32_768)]
    """What it holds, at most 32,768 characters."""
    is_secret: bool = False
    """Whether its value is never shown again and is masked in what agents and commands print, as are its
    lines of twelve characters and more. All secret values of a project together have at most 65,536 bytes and
    1,000 lines."""

    @model_validator(mode="before")
    @classmethod
    def _parse_plain_string(cls, given: object) -> object:
        return {"value": given} if isinstance(given, str) else given


_CONFIG: JsonDict = {
    "model": None,
    "thinkingEffort": None,
    "templateId": None,
    "contextId": None,
    "selectedSkills": [],
    "selectedCommands": [],
    "selectedScripts": [],
}


class EnvVarRead(Wire):
    """An environment variable of the commands in sandboxes."""

    value: str | None
    """None for a secret one: it is never shown again."""
    is_secret: bool
    """Whether it is a secret."""


class SettingsRead(Read):
    """How the agents of this project work."""

    model_config = example(
        id=PROJECT,
        _id=PROJECT,
        sandboxSystemPrompt=None,
        claudeMd="# House rules",
        issueDiscoveryPrompt=None,
        gitCommitName="CodeCourier",
        gitCommitEmail="bot@example.com",
        learningConfig={**_CONFIG, "isEnabled": True, "maxCostUsd": None},
        mergingConfig=_CONFIG,
        issueConfig=_CONFIG,
        answeringConfig=_CONFIG,
        evaluatorConfig=_CONFIG,
        judgeConfig=_CONFIG,
        maxCostUsd=10.0,
        protectedPaths=[*PROTECTED_PATHS],
        egress={"work": "everything", "checks": "list", "scans": "list", "hosts": ["*.example.com"]},
        maxConcurrentRuns=None,
        envVars={
            "NODE_ENV": {"value": "test", "isSecret": False},
            "NPM_TOKEN": {"value": None, "isSecret": True},
        },
    )
    sandbox_system_prompt: str | None
    """Added to the system prompt of every agent."""
    claude_md: str | None
    """The project's instructions, which agents find as `CLAUDE.md` and in their system prompt."""
    issue_discovery_prompt: str | None
    """The instructions of issue scans; the built-in ones when it is null."""
    learning_config: LearningConfig
    """How learnings are extracted from ended runs."""
    merging_config: AgentConfig
    """The agents that resolve conflicts between pull requests."""
    issue_config: AgentConfig
    """The agents of issue scans."""
    answering_config: AgentConfig
    """The agents of answering sessions."""
    evaluator_config: StepAgentConfig
    """The agents of evaluator steps that name no persona."""
    judge_config: StepAgentConfig
    """The agents of judge steps that name no persona."""
    protected_paths: list[str]
    """Patterns of paths that jobs may not change: a push that does is refused with `PROTECTED_PATH`."""
    egress: EgressPolicy
    """How far sandboxes reach into the internet."""
    max_concurrent_runs: int | None
    """How many runs may be at work at a time; the others wait for their turn. null: no limit."""
    git_commit_name: str
    """The author of commits."""
    git_commit_email: str
    """The author's e-mail address."""
    env_vars: dict[str, EnvVarRead]
    """Environment variables of commands in sandboxes, by name."""
    max_cost_usd: UsdAmount | None
    """What models may cost in a calendar month (UTC), in US dollars; null: no limit.

    `PUT /project/budget` sets it, and `GET /project/budget` tells what is spent of it.
    """


class SettingsUpdate(Body):
    """Only the given fields change.  Variables are merged by name; `null` removes one."""

    model_config = example(claudeMd="# House rules", envVars={"NODE_ENV": "test", "OLD_NAME": None})
    sandbox_system_prompt: Annotated[str, Field(max_length=100_000)] | None = unset_field()
    """Added to the system prompt of every agent."""
    claude_md: Annotated[str, Field(max_length=200_000)] | None = unset_field()
    """The project's instructions, which agents find as `CLAUDE.md` and in their system prompt."""
    issue_discovery_prompt: Annotated[str, Field(max_length=100_000)] | None = unset_field()
    """The instructions of issue scans; null for the built-in ones."""
    learning_config: LearningConfig = unset_field()
    """How learnings are extracted from ended runs; only the given fields of it change."""
    merging_config: AgentConfig = unset_field()
    """The agents that resolve conflicts between pull requests; only the given fields of it change."""
    issue_config: AgentConfig = unset_field()
    """The agents of issue scans; only the given fields of it change."""
    answering_config: AgentConfig = unset_field()
    """The agents of answering sessions; only the given fields of it change."""
    evaluator_config: StepAgentConfig = unset_field()
    """The agents of evaluator steps that name no persona; only the given fields of it change."""
    judge_config: StepAgentConfig = unset_field()
    """The agents of judge steps that name no persona; only the given fields of it change."""
    protected_paths: Annotated[list[PathPattern], Field(max_length=100)] = unset_field()
    """Patterns of paths that jobs may not change, in place of those before: a push that does is refused with
    `PROTECTED_PATH`, which names them. `**` stands for any path, `*` and `?` for parts of one name, and case
    does not count. At first they are the files that decide what CI runs and who reviews
    (`.github/workflows/**`, `.github/actions/**` and `CODEOWNERS` in its three places); an empty list allows
    every change."""
    egress: EgressPolicy = unset_field()
    """How far sandboxes reach into the internet; only the given fields of it change. It holds for sandboxes
    that are created from then on."""
    max_concurrent_runs: Annotated[int, Field(ge=1, le=10_000)] | None = unset_field()
    """How many runs may be at work at a time, paused ones included; null: no limit. The others wait for their
    turn, those of urgent issues first and then the oldest. Runs that are at work go on when it is lowered."""
    git_commit_name: Annotated[
        str, Field(min_length=1, max_length=200, pattern=r"^[^<>\n\r]*[^<>\n\r\s][^<>\n\r]*$")
    ] = unset_field()
    """The author of commits."""
    git_commit_email: Annotated[str, Field(max_length=200, pattern=r"^[^@\s<>]+@[^@\s<>]+$")] = unset_field()
    """The author's e-mail address."""
    env_vars: dict[str, EnvVar | None] = unset_field()
    """Environment variables of commands in sandboxes, by name, at most 200; null removes one."""

    @field_validator("env_vars")
    @classmethod
    def _refuse_reserved_names(cls, values: dict[str, EnvVar | None]) -> dict[str, EnvVar | None]:
        if len(values) > MAX_VARIABLES:
            raise TooManyVariables
        for name in values:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
                raise ValueError(f"'{name[:128]}' is no name for an environment variable")
            if name.upper() in RESERVED_VARIABLES or name.upper().startswith(RESERVED_PREFIXES):
                raise ValueError(f"'{name}' is reserved: the platform sets it itself")
        return values


PROJECTS = JsonView(
    ProjectRead,
    Project,
    "Project",
    shown={"creation_time": "(extract(epoch FROM project.created_at) * 1000)::bigint"},
)


class ProjectDelete(Body):
    """Asks for the slug, so that nobody deletes a project by mistake."""

    model_config = example(slug="storefront")
    slug: Annotated[str, Field(max_length=100)]
    """The slug of the key's project."""


class ProjectDeletionRead(ProjectRead):
    """A project on its way out: its keys are dead, and a workflow deletes all that belongs to it."""

    model_config = example(
        id=PROJECT,
        _id=PROJECT,
        name="Storefront",
        slug="storefront",
        status="deleting",
        githubRepoUrl="https://github.com/org/repo",
        createdAt="2026-01-15T10:00:00.000Z",
        _creationTime=1768471200000,
    )
    status: Literal["deleting"] = "deleting"
    """What becomes of it."""
