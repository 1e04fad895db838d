"""How the agents of one kind of work are set up in a project: scans, answers, merges, scores, learnings."""

from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, Field, field_validator

from kit.schemas import Body, CapUsd
from models.base import JsonObject
from models.blueprints.blueprint import SandboxConfig
from models.blueprints.persona import ThinkingEffort

Reference = Annotated[str, Field(min_length=1, max_length=200)]
References = Annotated[list[Reference], Field(max_length=50)]


class AgentConfig(Body):
    """What the agents of one kind of work use; what is left out has the server's default."""

    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The model; the server's default model when it is null."""
    thinking_effort: ThinkingEffort | None = None
    """How much the model thinks; the default of the kind of work when it is null."""
    template_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The sandbox's template; `base` when it is null."""
    context_id: Reference | None = None
    """A context, by id or name, that is put into the system prompt."""
    selected_skills: References = Field(default_factory=list)
    """Skills, by id or name, that the agents find in the sandbox."""
    selected_commands: References = Field(default_factory=list)
    """Commands, by id or name, that the agents find in the sandbox."""
    selected_scripts: References = Field(default_factory=list)
    """Scripts, by id or name, that run in the sandbox before the agents begin."""


def _refuse_template(template: str | None) -> str | None:
    if template is not None:
        raise ValueError("a step works in the sandbox of its run, whose template the workflow's config names")
    return template


class StepAgentConfig(AgentConfig):
    """What the agents of steps use that name no persona; their sandbox is the run's."""

    template_id: Annotated[str | None, AfterValidator(_refuse_template)] = None
    """Always null: a step works in the sandbox of its run."""


class LearningConfig(AgentConfig):
    """How learnings are extracted from the transcripts of ended runs.

    Its agent works without a sandbox: the context and the skills are put into its system prompt; a template,
    commands and scripts are refused.
    """

    is_enabled: bool = True
    """Whether an agent looks for learnings when a run has ended."""
    max_cost_usd: CapUsd | None = None
    """What looking for learnings may cost for one run, in US dollars."""

    @field_validator("template_id", "selected_commands", "selected_scripts")
    @classmethod
    def _refuse_sandbox_fields(cls, given: str | list[str] | None) -> str | list[str] | None:
        if given:
            raise ValueError("learnings are looked for without a sandbox: leave this out")
        return given


Config = TypeVar("Config", bound=AgentConfig)
AGENT_CONFIG_FIELDS: Final = (
    "learning_config",
    "merging_config",
    "issue_config",
    "answering_config",
    "evaluator_config",
    "judge_config",
)
"""The columns of a project that hold one."""


def choose_sandbox(asked: SandboxConfig, config: AgentConfig) -> SandboxConfig:
    """The sandbox that a request asks for; the configured template unless the request names its own."""
    sandbox = SandboxConfig(**asked.model_dump(include=set(SandboxConfig.model_fields)))
    if config.template_id is None or "template_id" in asked.model_fields_set:
        return sandbox
    return sandbox.model_copy(update={"template_id": config.template_id})


def merge_config(stored: JsonObject, given: Body) -> JsonObject:
    """The stored configuration with the given fields laid over it."""
    return {**stored, **given.model_dump(mode="json", by_alias=True, exclude_unset=True)}
