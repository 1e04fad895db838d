"""Wanting an extraction: its row and its first event, in the transaction in which a run ends."""

from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from models.assets.asset import AssetKind
from models.blueprints.persona import ThinkingEffort
from models.budgets.budget import Budget, open_budget
from models.event import EventType, append_event
from models.jobs.snapshot import TextAsset
from models.jobs.snapshot_builder import SnapshotBuilder
from models.learnings.extraction import LearningExtraction
from models.projects.agent_config import LearningConfig
from models.projects.project import Project
from models.runs.run import Run, RunStatus


async def create_extraction(session: AsyncSession, run: Run) -> LearningExtraction | None:
    """A pending extraction of a run that was just closed; None where there is nothing to look for.

    That is: a cancelled run, one whose agents said nothing, one that left nothing of its budget, and a
    project that wants no extraction.  The configuration is the project's as it is now.
    """
    if run.status is RunStatus.cancelled or not run.output_tokens:
        return None
    project = await session.get_one(Project, run.project_id)
    config = LearningConfig.model_validate(project.learning_config)
    if not config.is_enabled or project.deleted_at:
        return None
    left = await _remaining_budget(session, run)
    if left is not None and left <= 0:
        return None
    row = LearningExtraction(
        project_id=run.project_id,
        run_id=run.id,
        name=f"Learnings of run {run.run_number}",
        github_repo_url=run.github_repo_url,
        repository_slug=run.repository_slug,
        model=config.model,
        thinking_effort=config.thinking_effort or ThinkingEffort.medium,
        temporal_namespace=run.temporal_namespace,
        instructions=await _instructions(session, project, config),
        max_cost_usd=min((cap for cap in (config.max_cost_usd, left) if cap is not None), default=None),
    )
    session.add(row)
    await open_budget(session, project.id, row.id, row.max_cost_usd)
    append_event(session, row, EventType.learning_extraction_created, {"runId": run.id})
    return row


async def _remaining_budget(session: AsyncSession, run: Run) -> Decimal | None:
    """What the run may still cost; None when it has no cap."""
    budget = await session.get(Budget, run.id)
    return budget.remaining() if budget else None


async def _instructions(session: AsyncSession, project: Project, config: LearningConfig) -> str | None:
    """The configured context and skills as one text: there is no sandbox to put files into.

    What was removed since it was configured is left out: a run that has ended cannot wait for it.
    """
    shelf, texts = SnapshotBuilder(session, project), []
    contexts = [config.context_id] if config.context_id else []
    for kind, names in ((AssetKind.context, contexts), (AssetKind.skill, config.selected_skills)):
        for asset, version in await shelf.find_active(kind, names):
            files = [TextAsset.model_validate(file) for file in version.files or []]
            texts.append(f"# {asset.name}\n\n{version.content}" if version.content else f"# {asset.name}")
            texts += [f"## {file.name}\n\n{file.content}" for file in files]
    return "\n\n".join(texts) or None
