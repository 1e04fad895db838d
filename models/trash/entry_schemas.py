"""The trash on the wire: one list over all kinds, newest first, and what is said of an object in it.

Every page asks each kind for its next few rows, by an index, and merges them: what it costs does not depend
on how far down it is.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final

from pydantic import AliasChoices, Field

from kit.schemas import Body, Read, UtcTimestamp
from models.json_view import example, timestamp_sql
from models.trash.kinds import TRASH_KINDS, TrashKind, TrashType

MAX_NAME_CHARS: Final = 200
RUN: Final = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"


class TrashEntry(Read):
    """An object in the trash: restorable until it expires."""

    model_config = example(
        id=RUN,
        _id=RUN,
        type="run",
        name="Add a dark mode toggle",
        deletedAt="2026-01-15T10:00:00.000Z",
        deletedBy="user_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f",
        expiresAt="2026-02-14T10:00:00.000Z",
    )
    type: TrashType
    """What kind of object it is."""
    name: str
    """Its name."""
    deleted_at: UtcTimestamp
    """When it was moved to the trash."""
    deleted_by: str | None
    """The member who moved it to the trash; null where that is not known."""
    expires_at: UtcTimestamp
    """When it is deleted for good."""


class TrashedObject(Read):
    """An object that was moved out of the trash, back to its place or away for good."""

    model_config = example(id=RUN, _id=RUN, type="run", name="Add a dark mode toggle")
    type: TrashType
    """What kind of object it is."""
    name: str
    """Its name."""


class TrashRef(Body):
    """Names an object in the trash."""

    model_config = example(entityType="run", entityId=RUN)
    entity_type: TrashType
    """What kind of object it is."""
    entity_id: Annotated[str, Field(validation_alias=AliasChoices("entityId", "id"))]
    """Its id."""


class TrashView:
    """What `api.http.responses.ItemPage` asks of a view, over the tables of all kinds."""

    read = TrashEntry
    name = "trash"
    key_types = (datetime, str)

    @cache  # noqa: B019 - it lives as long as the process
    def page(self, where: tuple[str, ...], many: frozenset[str], after: bool, descending: bool) -> str:
        """SQL of a page; `where` may name `type`.  More parameters: `project_id`, `retention_days`."""
        parts = [_entries(kind, "type" in where, after) for kind in TRASH_KINDS.values()]
        union = " UNION ALL ".join(f"({part})" for part in parts)
        return (
            f"SELECT place, id, entry FROM ({union}) AS entries"  # noqa: S608
            " ORDER BY deleted_at DESC, id DESC LIMIT %(take)s"
        )


def _entries(kind: TrashKind[Any], typed: bool, after: bool) -> str:
    """The next rows of one kind."""
    conditions = ["project_id = %(project_id)s", "deleted_at IS NOT NULL", "purged_at IS NULL"]
    conditions += [kind.condition] if kind.condition else []
    conditions += [f"%(type)s = '{kind.entity}'"] if typed else []
    conditions += ["(deleted_at, id) < (%(after_0)s::timestamptz, %(after_1)s)"] if after else []
    expiry = "deleted_at + make_interval(days => %(retention_days)s)"
    fields: Iterable[tuple[str, str]] = (
        ("id", "id"),
        ("_id", "id"),
        ("type", f"'{kind.entity}'"),
        ("name", f"left({kind.name}, {MAX_NAME_CHARS})"),
        ("deletedAt", timestamp_sql("deleted_at")),
        ("deletedBy", "deleted_by"),
        ("expiresAt", timestamp_sql(f"({expiry})")),
    )
    entry = ", ".join(f"'{name}', {value}" for name, value in fields)
    place = """to_char(deleted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return (
        f"SELECT deleted_at, {place} AS place, id, json_build_object({entry})::text AS entry"  # noqa: S608
        f" FROM {kind.table.__tablename__} WHERE {' AND '.join(conditions)}"
        " ORDER BY deleted_at DESC, id DESC LIMIT %(take)s"
    )


TRASH: Final = TrashView()
