"""The builder of a job's snapshot: what its agents use of the project's personas and assets.

A persona without instructions gets those of its role.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict, Invalid
from models.assets.asset import Asset, AssetKind, AssetVersion, ScriptLanguage
from models.assets.slash_commands import find_slash_commands
from models.blueprints.blueprint import DEFAULT_LOOP_ITERATIONS, PipelineStep
from models.blueprints.persona import Persona, StepRole, ThinkingEffort
from models.jobs.snapshot import ScriptSnapshot, SkillSnapshot, StepSnapshot, TextAsset
from models.projects.agent_config import AgentConfig
from models.projects.project import Project

_WORK = (
    "Work in the repository until the task is done. Read before you write, keep to the style of the code "
    "around you, add or adjust tests, and run them. Make no change that the task does not need. "
)
_READ = "Read what matters in the repository and change nothing. "

ROLE_INSTRUCTIONS: dict[StepRole, str] = {
    StepRole.designer: _WORK + "If feedback is given, answer every point of it by a change.",
    StepRole.optimizer: _WORK
    + "Make what is there simpler, faster or clearer without changing what it does.",
    StepRole.custom: _WORK,
    StepRole.checker: (
        "Check the uncommitted and committed changes against the task: read the diff, run the tests, try the "
        "edge cases. Change nothing. Pass only what you would merge; otherwise fail it with feedback that "
        "says what is wrong, where, and what is expected instead."
    ),
    StepRole.reviewer: (
        "Review the change as an experienced maintainer would: correctness, security, tests, readability. "
        "Change nothing. Pass it or fail it with feedback that can be acted on."
    ),
    StepRole.prompter: _READ + "Turn the task into a precise prompt for the engineer who works on it next.",
    StepRole.investigator: _READ + "Find the causes and the places concerned, with evidence.",
    StepRole.planner: _READ + "Write the plan of the change: steps, files, risks, and how to verify it.",
    StepRole.deep_dive: _READ + "Explain in depth how the part concerned works and what the task touches.",
    StepRole.evaluator: _READ
    + "Score the result from 0 to 100 against the task: correctness, completeness, tests, readability. Give "
    "the reasons, each with its evidence.",
    StepRole.judge: _READ
    + "Judge against the task: try what is there, weigh correctness before everything else, and say what "
    "decided it. Where there are alternatives, compare them with the same measure.",
    StepRole.answerer: _READ
    + "Answer the questions that the task asks, from the code, with references to it.",
}


DEFAULT_MAX_TURNS = 200
MAX_SNAPSHOT_CHARS = 10_000_000
"""Of all that a job brings along: it lies in memory when the job starts, and whenever it is worked on."""


@dataclass(frozen=True)
class AgentAssets:
    """The assets of one agent; skills and commands by name, as they lie in the shelf."""

    context: TextAsset | None
    skills: list[str]
    commands: list[str]
    scripts: list[ScriptSnapshot]


class SnapshotBuilder:
    """The active versions of what a job's agents name; what leads nowhere is refused with who names it."""

    def __init__(self, session: AsyncSession, project: Project) -> None:
        self.session, self.project = session, project
        self.skills: dict[str, SkillSnapshot] = {}
        self.commands: dict[str, TextAsset] = {}
        """Both by the name of the asset."""
        self.chars = 0
        """How much was taken so far; what is taken twice counts twice."""

    async def build_step(self, index: int, step: PipelineStep, default_model: str) -> StepSnapshot:
        """A step with its persona; without one, evaluators and judges are as the project configures them."""
        who = f"Step {index}"
        persona = await self._persona(index, step.persona_id)
        agent = persona or self._config(step.role)
        equipment = await self.add_agent(
            who if persona else f"{who} (by the project's {step.role}Config)", agent
        )
        return StepSnapshot(
            index=index,
            role=step.role,
            label=step.label or (persona.name if persona else step.role.value.capitalize()),
            persona_id=persona.id if persona else None,
            model=step.model or agent.model or default_model,
            thinking_effort=agent.thinking_effort or ThinkingEffort.medium,
            instructions=(persona.instructions if persona else None)
            or ROLE_INSTRUCTIONS[StepRole(step.role)],
            context=equipment.context,
            skills=equipment.skills,
            commands=equipment.commands,
            prompt=step.prompt,
            loop_id=step.loop_id,
            loop_max_iterations=(step.loop_max_iterations or DEFAULT_LOOP_ITERATIONS) if step.loop_id else 1,
            max_turns=step.max_turns or DEFAULT_MAX_TURNS,
            pre_scripts=[*equipment.scripts, *await self._scripts(step.pre_scripts, who)],
            post_scripts=await self._scripts(step.post_scripts, who),
            secrets=step.secrets,
        )

    async def add_agent(self, who: str, agent: Persona | AgentConfig) -> AgentAssets:
        """The assets that a persona or a configuration selects, with its skills and commands on the shelf."""
        contexts = [agent.context_id] if agent.context_id else []
        skills = await self._assets(AssetKind.skill, agent.selected_skills, who)
        commands = await self._assets(AssetKind.command, agent.selected_commands, who)
        for asset, version in skills:
            files = [TextAsset.model_validate(file) for file in version.files or []]
            self.skills[asset.name] = SkillSnapshot(name=asset.name, files=files)
        self._add_commands(commands)
        return AgentAssets(
            context=next(iter(_texts(await self._assets(AssetKind.context, contexts, who))), None),
            skills=list(dict.fromkeys(asset.name for asset, _ in skills)),
            commands=list(dict.fromkeys(asset.name for asset, _ in commands)),
            scripts=await self._scripts(agent.selected_scripts, who),
        )

    async def add_slash_commands(self, *texts: str | None) -> None:
        """Put the project's active commands that these prompts name with a slash on the shelf."""
        self._add_commands(await self.find_active(AssetKind.command, find_slash_commands(*texts)))

    async def load_command_versions(self) -> dict[str, str]:
        """By name, the ids of the versions that are active now: for messages that name commands later."""
        statement = select(col(Asset.name), col(AssetVersion.id)).where(
            *self._active_conditions(AssetKind.command)
        )
        return dict((await self.session.execute(statement)).all())

    def _add_commands(self, commands: Sequence[tuple[Asset, AssetVersion]]) -> None:
        self.commands |= {command.name: command for command in _texts(commands)}

    def _config(self, role: StepRole) -> AgentConfig:
        """What the project configures for steps of this role that name no persona."""
        configs = {
            StepRole.evaluator: self.project.evaluator_config,
            StepRole.judge: self.project.judge_config,
        }
        return AgentConfig.model_validate(configs.get(role, {}))

    async def _persona(self, index: int, id: str | None) -> Persona | None:
        if id is None:
            return None
        persona = await self.session.get(Persona, id)
        if persona is None or persona.project_id != self.project.id or persona.deleted_at:
            raise Invalid(f"Step {index} of the workflow names persona {id}, which does not exist.")
        if not persona.is_enabled:
            raise Conflict(
                f"Step {index} uses the persona '{persona.name}', which is disabled: enable it first."
            )
        return persona

    async def _scripts(self, names: Sequence[str], who: str) -> list[ScriptSnapshot]:
        return [
            ScriptSnapshot(
                name=asset.name, content=version.content or "", language=asset.language or ScriptLanguage.bash
            )
            for asset, version in await self._assets(AssetKind.script, names, who)
        ]

    async def _assets(
        self, kind: AssetKind, names: Sequence[str], who: str
    ) -> list[tuple[Asset, AssetVersion]]:
        """The assets of these ids or names, in this order."""
        active = await self.find_active(kind, names)
        found = {asset.name: (asset, version) for asset, version in active}
        found |= {asset.id: (asset, version) for asset, version in active}
        for name in names:
            if name not in found:
                raise Invalid(f"{who} uses the {kind} '{name}', which does not exist or was never published.")
        return [found[name] for name in names]

    async def find_active(self, kind: AssetKind, names: Sequence[str]) -> list[tuple[Asset, AssetVersion]]:
        """Those of these ids or names that there are, in any order."""
        if not names:
            return []
        wanted = (*self._active_conditions(kind), col(Asset.id).in_(names) | col(Asset.name).in_(names))
        await self._require_size(wanted)
        statement = select(Asset, AssetVersion).where(*wanted)
        return [(asset, version) for asset, version in await self.session.execute(statement)]

    async def _require_size(self, wanted: Sequence[ColumnElement[bool]]) -> None:
        """Refuse more than a job may bring along, before any of it is read."""
        content, files = col(AssetVersion.content), cast(col(AssetVersion.files), Text)
        size = func.coalesce(func.length(content), 0) + func.coalesce(func.length(files), 0)
        statement = select(func.coalesce(func.sum(size), 0)).select_from(Asset, AssetVersion).where(*wanted)
        self.chars += int((await self.session.execute(statement)).scalar_one())
        if self.chars > MAX_SNAPSHOT_CHARS:
            raise Invalid(
                f"The contexts, skills, commands and scripts that would be brought along have {self.chars:,} "
                f"characters, which is more than {MAX_SNAPSHOT_CHARS:,}: select fewer or shorter ones."
            )

    def _active_conditions(self, kind: AssetKind) -> tuple[ColumnElement[bool], ...]:
        return (
            col(Asset.project_id) == self.project.id,
            col(Asset.kind) == kind,
            col(Asset.deleted_at).is_(None),
            col(AssetVersion.asset_id) == col(Asset.id),
            col(AssetVersion.version) == col(Asset.active_version),
        )


def _texts(assets: Sequence[tuple[Asset, AssetVersion]]) -> list[TextAsset]:
    return [TextAsset(name=asset.name, content=version.content or "") for asset, version in assets]
