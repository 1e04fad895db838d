"""Learning versions: the approved learnings as one numbered, immutable document; at most one is active."""

from datetime import datetime
from typing import Final

from pydantic import BaseModel
from sqlalchemy import Index, UniqueConstraint, func, select
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict
from kit.ids import prefixed
from models.base import Json, JsonObject, Record, Timestamp, now
from models.learnings.document import LearningEntry, render_document
from models.learnings.learning import Learning, LearningStatus
from models.projects.project import Project

MAX_DOCUMENT_CHARS: Final = 100_000
"""What a version's document may have: it is in every prompt of the agents that it is for."""


class LearningVersion(Record, table=True):
    __table_args__ = (
        UniqueConstraint("project_id", "version"),
        Index("learning_version_active", "project_id", unique=True, postgresql_where="is_active"),
    )
    id: str = Field(default_factory=prefixed("lv"), primary_key=True)
    version: int
    document: str
    learnings: list[JsonObject] = Field(sa_type=Json)
    """What it was compiled from."""
    learning_count: int
    is_active: bool = False
    created_by: str
    """The member."""
    activated_at: datetime | None = Field(default=None, sa_type=Timestamp)

    def activate(self) -> None:
        """Jobs that start from now on are told it."""
        self.is_active, self.activated_at = True, now()

    def deactivate(self) -> None:
        """Jobs that start from now on are not told it."""
        self.is_active = False

    """When it was made active last."""

    @property
    def entries(self) -> list[LearningEntry]:
        return [LearningEntry.model_validate(entry) for entry in self.learnings]


class ActiveLearnings(BaseModel):
    """The version that was active when a job was started."""

    version_id: str | None = None
    """None: no version was."""
    version: int | None = None
    entries: list[LearningEntry] = []


async def approved_entries(session: AsyncSession, project_id: str) -> list[LearningEntry]:
    """The learnings that a version compiled now would hold, oldest first."""
    statement = (
        select(Learning)
        .where(
            col(Learning.project_id) == project_id,
            col(Learning.status) == LearningStatus.approved,
            col(Learning.deleted_at).is_(None),
        )
        .order_by(col(Learning.id))
    )
    return [LearningEntry.of(row) for row in (await session.execute(statement)).scalars()]


async def compile_version(session: AsyncSession, project_id: str, member_id: str) -> LearningVersion:
    """A new version of what is approved now, not active yet; Conflict when nothing is, or too much.

    Compiling at the same time makes two versions, one after the other: the project's row is held.
    """
    await _lock_project(session, project_id)
    entries = await approved_entries(session, project_id)
    if not entries:
        raise Conflict("No learning is approved: approve one with POST /learnings/update-status first.")
    document = render_document(entries)
    if len(document) > MAX_DOCUMENT_CHARS:
        raise Conflict(
            f"The {len(entries)} approved learnings are {len(document):,} characters together, more than the "
            f"{MAX_DOCUMENT_CHARS:,} that fit into a prompt: shorten some, or reject the least important."
        )
    newest = select(func.coalesce(func.max(LearningVersion.version), 0)).where(
        col(LearningVersion.project_id) == project_id
    )
    number: int = (await session.execute(newest)).scalar_one() + 1
    version = LearningVersion(
        project_id=project_id,
        version=number,
        document=document,
        learning_count=len(entries),
        learnings=[entry.model_dump(mode="json") for entry in entries],
        created_by=member_id,
    )
    session.add(version)
    return version


async def activate_version(session: AsyncSession, version: LearningVersion) -> None:
    """Make it the active one instead of the one that is; jobs started from now on are told it."""
    await _lock_project(session, version.project_id)
    await session.refresh(version)
    active = await active_version(session, version.project_id)
    if active is not None and active.id == version.id:
        return
    if active is not None:
        active.deactivate()
        await session.flush()  # one row after the other: never are two active
    version.activate()


async def deactivate_version(session: AsyncSession, version: LearningVersion) -> None:
    """Leave the project without an active version; Conflict when it is not the active one."""
    await _lock_project(session, version.project_id)
    await session.refresh(version)
    if not version.is_active:
        raise Conflict(f"Learning version {version.version} is not active.")
    version.deactivate()


async def active_version(session: AsyncSession, project_id: str) -> LearningVersion | None:
    statement = select(LearningVersion).where(
        col(LearningVersion.project_id) == project_id, col(LearningVersion.is_active)
    )
    found: LearningVersion | None = (await session.execute(statement)).scalar_one_or_none()
    return found


async def active_learnings(session: AsyncSession, project_id: str) -> ActiveLearnings:
    """What a job that starts now is told, whatever is activated later."""
    version = await active_version(session, project_id)
    if version is None:
        return ActiveLearnings()
    return ActiveLearnings(version_id=version.id, version=version.version, entries=version.entries)


async def _lock_project(session: AsyncSession, project_id: str) -> None:
    """Let nobody else number or activate versions of the project before the commit."""
    await session.get_one(Project, project_id, with_for_update={"key_share": True})
