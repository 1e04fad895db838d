"""What agents would be told: rendered by the very function that renders it for their prompts."""

from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from models.blueprints.persona import StepRole
from models.learnings.document import LearningEntry, render_document, roles_of
from models.learnings.version import LearningVersion, active_version, approved_entries
from models.learnings.version_schemas import LearningPreview


async def preview_active(session: AsyncSession, project_id: str, role: StepRole | None) -> LearningPreview:
    """What jobs that start now are told; nothing without an active version."""
    version = await active_version(session, project_id)
    return preview_version(version, role) if version else _preview([], role)


async def preview_draft(session: AsyncSession, project_id: str, role: StepRole | None) -> LearningPreview:
    """What a version compiled now would hold."""
    return _preview(await approved_entries(session, project_id), role)


def preview_version(version: LearningVersion, role: StepRole | None) -> LearningPreview:
    shown = _preview(version.entries, role)
    return shown.model_copy(update={"version_id": version.id, "version": version.version})


def _preview(entries: Sequence[LearningEntry], role: StepRole | None) -> LearningPreview:
    return LearningPreview(
        document=render_document(entries, role),
        role=role,
        roles=roles_of(entries),
        version_id=None,
        version=None,
        learning_count=sum(role is None or entry.applies_to(role) for entry in entries),
    )
