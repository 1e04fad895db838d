"""Learning versions on the wire, and the preview: what agents would be told.

The preview is rendered by the very function that renders it for their prompts.
"""

from collections.abc import Sequence

from pydantic.config import JsonDict
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Body, Read, UtcTimestamp, Wire
from models.blueprints.persona import StepRole
from models.json_view import JsonView, example
from models.learnings.document import LearningEntry, render_document, roles_of
from models.learnings.learning import LearningSeverity
from models.learnings.learning_schemas import LEARNING
from models.learnings.version import LearningVersion, active_version, approved_entries

VERSION = "lv_0198f2cbb1c27d3e8f4a5b6c7d8e9f0a"
_USER = "user_0198f2c3a1b27c3d8e4f5a6b7c8d9e0f"
_EXAMPLE_LEARNING: JsonDict = {
    "id": LEARNING,
    "_id": LEARNING,
    "description": "Queries in a loop made the orders page slow",
    "trigger": "When a list is read together with what belongs to each of its rows",
    "correctBehavior": "Read it with one joined query",
    "severity": "high",
    "category": "performance",
    "applicableRoles": ["designer", "optimizer"],
}
_DOCUMENT = render_document(
    [
        LearningEntry(
            id=LEARNING,
            description=str(_EXAMPLE_LEARNING["description"]),
            trigger=str(_EXAMPLE_LEARNING["trigger"]),
            correct_behavior=str(_EXAMPLE_LEARNING["correctBehavior"]),
            severity=LearningSeverity.high,
            category="performance",
            applicable_roles=[StepRole.designer, StepRole.optimizer],
        )
    ]
)
_EXAMPLE_SUMMARY: JsonDict = {
    "id": VERSION,
    "_id": VERSION,
    "version": 3,
    "isActive": True,
    "learningCount": 1,
    "createdBy": _USER,
    "createdAt": "2026-01-15T12:00:00.000Z",
    "activatedAt": "2026-01-15T12:05:00.000Z",
}


class LearningVersionSummary(Read):
    """A numbered, immutable version of the learnings that were approved when it was compiled."""

    model_config = example(**_EXAMPLE_SUMMARY)
    version: int
    """Its number; the project's versions are numbered from 1."""
    is_active: bool
    """Whether agents of jobs that start now are told it; at most one version is active."""
    learning_count: int
    """How many learnings it holds."""
    created_by: str
    """The member who compiled it."""
    created_at: UtcTimestamp
    """When it was compiled."""
    activated_at: UtcTimestamp | None
    """When it was activated last; null if it never was."""


class VersionLearning(Read):
    """A learning as it was when the version was compiled."""

    description: str
    """What is to be learned."""
    trigger: str | None
    """The situation in which it matters."""
    correct_behavior: str | None
    """What to do then."""
    severity: LearningSeverity
    """How much it matters."""
    category: str | None
    """A word or two."""
    applicable_roles: list[StepRole]
    """The roles of steps that are told it; every role when it is empty."""


class LearningVersionRead(LearningVersionSummary):
    """A version with its document and the learnings that it was compiled from."""

    model_config = example(**_EXAMPLE_SUMMARY, document=_DOCUMENT, learnings=[_EXAMPLE_LEARNING])
    document: str
    """The whole document; a role is told the part of it that applies to the role."""
    learnings: list[VersionLearning]
    """What it holds, oldest first."""


class LearningVersionRef(Body):
    """Names a version of the project's learnings."""

    model_config = example(versionId=VERSION)
    version_id: str
    """The version."""


class LearningPreview(Wire):
    """What agents are told, byte for byte."""

    model_config = example(
        document=_DOCUMENT,
        role=None,
        roles=["designer", "optimizer"],
        versionId=VERSION,
        version=3,
        learningCount=1,
    )
    document: str
    """What stands in the system prompt; empty when there is nothing to tell."""
    role: StepRole | None
    """The role that is told it; null: the whole document, of all roles."""
    roles: list[StepRole]
    """The roles that are told anything by this version."""
    version_id: str | None
    """The version that it is of; null for a draft, and when no version is active."""
    version: int | None
    """Its number."""
    learning_count: int
    """How many learnings the document holds."""


_LEARNINGS_SQL = """(
    SELECT coalesce(json_agg(json_build_object(
        'id', held->>'id', '_id', held->>'id', 'description', held->>'description',
        'trigger', held->>'trigger', 'correctBehavior', held->>'correct_behavior',
        'severity', held->>'severity', 'category', held->>'category',
        'applicableRoles', held->'applicable_roles') ORDER BY place), '[]')
    FROM jsonb_array_elements(learning_version.learnings) WITH ORDINALITY AS each(held, place)
)"""
LEARNING_VERSIONS = JsonView(
    LearningVersionRead, LearningVersion, "Learning version", shown={"learnings": _LEARNINGS_SQL}
)
LEARNING_VERSION_SUMMARIES = JsonView(LearningVersionSummary, LearningVersion, "Learning version")


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
