"""Contexts, skills, commands and scripts are one thing: a named text or bundle with immutable versions."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from kit.ids import new_id, prefixed
from models.base import Json, Record, Table, Timestamp, choice, now


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
    bash = "bash"
    python = "python"
    node = "node"


class Asset(Record, table=True):
    kind: AssetKind = Field(sa_type=choice(AssetKind))
    name: str
    description: str | None = None
    language: ScriptLanguage | None = Field(default=None, sa_type=choice(ScriptLanguage))
    """Of scripts only."""
    active_version: int | None = None
    latest_version: int = 0

    @classmethod
    def of(cls, kind: AssetKind, **fields: object) -> "Asset":
        return cls.model_validate({"id": new_id(PREFIXES[kind]), "kind": kind, **fields})

    def publish(
        self, by: str, *, content: str | None = None, files: list[dict[str, str]] | None = None
    ) -> "AssetVersion":
        """A new immutable version, active at once."""
        self.latest_version = self.active_version = self.latest_version + 1
        return AssetVersion(
            asset_id=self.id, version=self.latest_version, content=content, files=files, published_by=by
        )


class AssetVersion(Table, table=True):
    __table_args__ = (UniqueConstraint("asset_id", "version"),)
    id: str = Field(default_factory=prefixed("ver"), primary_key=True)
    asset_id: str = Field(foreign_key="asset.id", ondelete="CASCADE")
    version: int
    content: str | None = None
    files: list[dict[str, str]] | None = Field(default=None, sa_type=Json)
    published_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    published_by: str
