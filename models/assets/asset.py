"""Assets: contexts, skills, commands and scripts are named texts or bundles with immutable versions.

A project may have so many of them only, as every run starts with the list of its commands.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, UniqueConstraint, func, select, text
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict
from kit.ids import new_id, prefixed
from models.base import Json, Table, Timestamp, enum_column, now
from models.trash.trashable import Trashable, trash_indexes


class AssetKind(StrEnum):
    context = "context"
    skill = "skill"
    command = "command"
    script = "script"


PREFIXES = {
    AssetKind.context: "ctx",
    AssetKind.skill: "skill",
    AssetKind.command: "cmd",
    AssetKind.script: "scr",
}


class ScriptLanguage(StrEnum):
    """What interprets a script."""

    bash = "bash"
    python = "python"
    node = "node"


class Asset(Trashable, table=True):
    __table_args__ = (
        *trash_indexes("asset"),
        Index(
            "asset_name",
            "project_id",
            "kind",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("asset_list", "project_id", "kind", "id"),
    )
    updated_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    kind: AssetKind = Field(sa_type=enum_column(AssetKind))
    name: str
    """Unique among the project's assets of this kind, apart from those in the trash."""
    description: str | None = None
    language: ScriptLanguage | None = Field(default=None, sa_type=enum_column(ScriptLanguage))
    """Of scripts only."""
    active_version: int | None = None
    activated_at: datetime | None = Field(default=None, sa_type=Timestamp)
    latest_version: int = 0

    @classmethod
    def in_kind(cls, kind: AssetKind, **fields: object) -> "Asset":
        return cls.model_validate({"id": new_id(PREFIXES[kind]), "kind": kind, **fields})

    def publish(
        self, by: str, *, content: str | None = None, files: list[dict[str, str]] | None = None
    ) -> "AssetVersion":
        """A new immutable version, active at once.  The caller holds the row, hence no number twice."""
        self.latest_version += 1
        self.activate(self.latest_version)
        return AssetVersion(
            asset_id=self.id, version=self.latest_version, content=content, files=files, published_by=by
        )

    def activate(self, version: int) -> None:
        """Serve this version from now on; one that is active stays so since when it was."""
        if version != self.active_version:
            self.active_version = version
            self.activated_at = self.updated_at = now()

    def change(self, **fields: object) -> None:
        """Change name and description, which makes no version."""
        self.sqlmodel_update({**fields, "updated_at": now()})


class AssetVersion(Table, table=True):
    __table_args__ = (UniqueConstraint("asset_id", "version"),)
    id: str = Field(default_factory=prefixed("ver"), primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", ondelete="CASCADE")
    version: int
    content: str | None = None
    files: list[dict[str, str]] | None = Field(default=None, sa_type=Json)
    published_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    published_by: str


MAX_ASSETS_PER_KIND = 1_000
"""Of each kind; requests at the same moment may go beyond it by a few."""


async def require_capacity(session: AsyncSession, project_id: str, kind: AssetKind) -> None:
    """Conflict when the project has as many of this kind as there may be."""
    statement = select(func.count()).where(
        col(Asset.project_id) == project_id, col(Asset.kind) == kind, col(Asset.deleted_at).is_(None)
    )
    if (await session.execute(statement)).scalar_one() >= MAX_ASSETS_PER_KIND:
        raise Conflict(f"The project has {MAX_ASSETS_PER_KIND} {kind}s, which is the most: delete one first.")
