"""References to assets, by id or by name: what personas, configurations and steps name has to exist."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Fault, Invalid
from models.assets.asset import Asset, AssetKind
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import Persona
from models.projects.agent_config import AgentConfig

Reference = tuple[str, AssetKind, str]
"""The camelCase path of the field, what it names, and the id or the name that stands there."""
_LISTS = {
    "selected_skills": ("selectedSkills", AssetKind.skill),
    "selected_commands": ("selectedCommands", AssetKind.command),
    "selected_scripts": ("selectedScripts", AssetKind.script),
}


def references_of(agent: Persona | AgentConfig, fields: Iterable[str], path: str = "") -> list[Reference]:
    """What these fields of a persona or of a configuration name; `path` leads to them."""
    found: list[Reference] = []
    if "context_id" in fields and agent.context_id is not None:
        found.append((f"{path}contextId", AssetKind.context, agent.context_id))
    for field, (wire, kind) in _LISTS.items():
        if field in fields:
            names: list[str] = getattr(agent, field)
            found += [(f"{path}{wire}.{index}", kind, name) for index, name in enumerate(names)]
    return found


def script_references(steps: Sequence[PipelineStep]) -> list[Reference]:
    """The scripts that the steps of a blueprint name."""
    return [
        (f"pipelineSteps.{index}.{field}.{number}", AssetKind.script, name)
        for index, step in enumerate(steps)
        for field, names in (("preScripts", step.pre_scripts), ("postScripts", step.post_scripts))
        for number, name in enumerate(names)
    ]


async def require_assets(session: AsyncSession, project_id: str, references: Sequence[Reference]) -> None:
    """Refuse references to what the project does not have, all of them at once; published or not."""
    there: set[tuple[AssetKind, str]] = set()
    for kind in AssetKind:
        if names := {name for _, of, name in references if of is kind}:
            statement = select(col(Asset.id), col(Asset.name)).where(
                col(Asset.project_id) == project_id,
                col(Asset.kind) == kind,
                col(Asset.deleted_at).is_(None),
                col(Asset.id).in_(names) | col(Asset.name).in_(names),
            )
            there |= {(kind, word) for row in await session.execute(statement) for word in row}
    faults = [
        Fault(field, f"The project has no {kind} with the id or name '{name}'.")
        for field, kind, name in references
        if (kind, name) not in there
    ]
    if faults:
        raise Invalid(f"{faults[0].field}: {faults[0].message}", field=faults[0].field, faults=faults)
