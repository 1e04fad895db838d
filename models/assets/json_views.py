"""The four kinds of assets as PostgreSQL writes them: listed without content, shown with it, versions."""

from typing import TypeVar

from pydantic import BaseModel

from models.assets.asset import PREFIXES, Asset, AssetKind, AssetVersion
from models.assets.schemas import (
    CommandRead,
    CommandSummary,
    ContextRead,
    ContextSummary,
    ScriptRead,
    ScriptSummary,
    SkillRead,
    SkillSummary,
    SkillVersion,
    TextVersion,
)
from models.json_view import JsonView, json_object_sql, timestamp_sql

R = TypeVar("R", bound=BaseModel)
_IS_ACTIVE = (
    "(SELECT asset.active_version FROM asset WHERE asset.id = asset_version.asset_id) = asset_version.version"
)


def _active_version_sql(**more: str) -> str:
    """SQL of an asset's active version, or null."""
    fields = json_object_sql(
        id="active.id",
        _id="active.id",
        version="active.version",
        publishedAt=timestamp_sql("active.published_at"),
        publishedBy="active.published_by",
        **more,
    )
    return (
        f"(SELECT {fields} FROM asset_version AS active"  # noqa: S608
        " WHERE active.asset_id = asset.id AND active.version = asset.active_version)"
    )


_VERSION_NUMBERS = (
    "(SELECT coalesce(json_agg(published.version ORDER BY published.version), '[]')"
    " FROM asset_version AS published WHERE published.asset_id = asset.id)"
)
_SUMMARY = {"active_version": _active_version_sql()}
_TEXT = {
    "active_version": _active_version_sql(content="active.content", isActive="true"),
    "versions": _VERSION_NUMBERS,
}
_BUNDLE = {
    "active_version": _active_version_sql(files="active.files", isActive="true"),
    "versions": _VERSION_NUMBERS,
}


class AssetView(JsonView[Asset, R]):
    """One kind of asset; all kinds share a table, and an id tells its kind by its prefix."""

    def __init__(self, read: type[R], kind: AssetKind, shown: dict[str, str]) -> None:
        super().__init__(read, Asset, kind.capitalize(), shown=shown)
        self.prefix = PREFIXES[kind]


CONTEXTS = AssetView(ContextSummary, AssetKind.context, _SUMMARY)
SKILLS = AssetView(SkillSummary, AssetKind.skill, _SUMMARY)
COMMANDS = AssetView(CommandSummary, AssetKind.command, _SUMMARY)
SCRIPTS = AssetView(ScriptSummary, AssetKind.script, _SUMMARY)
CONTEXT_DETAILS = AssetView(ContextRead, AssetKind.context, _TEXT)
SKILL_DETAILS = AssetView(SkillRead, AssetKind.skill, _BUNDLE)
COMMAND_DETAILS = AssetView(CommandRead, AssetKind.command, _TEXT)
SCRIPT_DETAILS = AssetView(ScriptRead, AssetKind.script, _TEXT)
TEXT_VERSIONS = JsonView(
    TextVersion, AssetVersion, "Version", keys=("version",), shown={"is_active": _IS_ACTIVE}
)
SKILL_VERSIONS = JsonView(
    SkillVersion, AssetVersion, "Version", keys=("version",), shown={"is_active": _IS_ACTIVE}
)
