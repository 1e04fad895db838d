"""Takes from a project's personas and assets what the steps of a blueprint name."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict, Invalid
from models.asset import Asset, AssetKind, AssetVersion, ScriptLanguage
from models.blueprint import DEFAULT_LOOP_ITERATIONS, PipelineStep
from models.job_snapshot import ScriptSnapshot, SkillSnapshot, StepSnapshot, TextAsset
from models.persona import Persona, StepRole, ThinkingEffort
from models.step_instructions import INSTRUCTIONS

DEFAULT_MAX_TURNS = 200


class Shelf:
    """The active versions of what the steps name; names that lead nowhere are refused with the step."""

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self.session, self.project_id = session, project_id
        self.skills: dict[str, SkillSnapshot] = {}
        self.commands: dict[str, TextAsset] = {}

    async def step(self, index: int, step: PipelineStep, default_model: str) -> StepSnapshot:
        persona = await self._persona(index, step.persona_id)
        context = None
        if persona:
            for name in persona.selected_skills:
                asset, version = await self._asset(AssetKind.skill, name, index)
                files = [TextAsset.model_validate(file) for file in version.files or []]
                self.skills[asset.id] = SkillSnapshot(name=asset.name, files=files)
            for name in persona.selected_commands:
                asset, version = await self._asset(AssetKind.command, name, index)
                self.commands[asset.id] = TextAsset(name=asset.name, content=version.content or "")
            if persona.context_id:
                asset, version = await self._asset(AssetKind.context, persona.context_id, index)
                context = TextAsset(name=asset.name, content=version.content or "")
        before = [*(persona.selected_scripts if persona else []), *step.pre_scripts]
        return StepSnapshot(
            index=index,
            role=step.role,
            label=step.label or (persona.name if persona else step.role.value.capitalize()),
            persona_id=persona.id if persona else None,
            model=step.model or (persona.model if persona else None) or default_model,
            thinking_effort=persona.thinking_effort if persona else ThinkingEffort.medium,
            instructions=(persona.instructions if persona else None) or INSTRUCTIONS[StepRole(step.role)],
            context=context,
            prompt=step.prompt,
            loop_id=step.loop_id,
            loop_max_iterations=(step.loop_max_iterations or DEFAULT_LOOP_ITERATIONS) if step.loop_id else 1,
            max_turns=step.max_turns or DEFAULT_MAX_TURNS,
            pre_scripts=[await self._script(name, index) for name in before],
            post_scripts=[await self._script(name, index) for name in step.post_scripts],
        )

    async def _persona(self, index: int, id: str | None) -> Persona | None:
        if id is None:
            return None
        persona = await self.session.get(Persona, id)
        if persona is None or persona.project_id != self.project_id or persona.deleted_at:
            raise Invalid(f"Step {index} of the workflow names persona {id}, which does not exist.")
        if not persona.is_enabled:
            raise Conflict(
                f"Step {index} uses the persona '{persona.name}', which is disabled: enable it first."
            )
        return persona

    async def _script(self, name: str, index: int) -> ScriptSnapshot:
        asset, version = await self._asset(AssetKind.script, name, index)
        language = asset.language or ScriptLanguage.bash
        return ScriptSnapshot(name=asset.name, content=version.content or "", language=language)

    async def _asset(self, kind: AssetKind, name: str, index: int) -> tuple[Asset, AssetVersion]:
        statement = select(Asset, AssetVersion).where(
            col(Asset.project_id) == self.project_id,
            col(Asset.kind) == kind,
            (col(Asset.id) == name) | (col(Asset.name) == name),
            col(Asset.deleted_at).is_(None),
            col(AssetVersion.asset_id) == Asset.id,
            col(AssetVersion.version) == Asset.active_version,
        )
        found = (await self.session.execute(statement)).first()
        if found is None:
            raise Invalid(
                f"Step {index} uses the {kind} '{name}', which does not exist or was never published."
            )
        return found[0], found[1]
