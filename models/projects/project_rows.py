"""Every row of a project in every table, whatever tables there are: found by columns and foreign keys.

A table is a project's by its `project_id`, or by a foreign key to a table that is.  The few that name an
owner without a foreign key are listed here.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, delete, or_, select, update
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from models import AllowedRepository, Effect, JobSnapshot, Project, ProviderKey
from models.base import Record, now

COLUMNS_WITHOUT_FOREIGN_KEY: Final = {
    str(JobSnapshot.__tablename__): "job_id",
    str(Effect.__tablename__): "subject_id",
}
"""Tables that name what they belong to by its id alone."""
PROJECT_TABLE: Final = str(Project.__tablename__)
TABLES_DELETED_LAST: Final = {
    str(ProviderKey.__tablename__),
    str(AllowedRepository.__tablename__),
    PROJECT_TABLE,
}
"""What the deletion itself needs until all else is gone."""


async def close_unfinished_rows(
    session: AsyncSession, table: type[Record], unfinished: Sequence[StrEnum], project_id: str
) -> None:
    """Close rows that no workflow closes any more; what is said of their end, nobody reads.

    table: of jobs or chains, which are `unfinished` in these statuses.
    """
    statuses = type(unfinished[0])
    ended = statuses("cancelled" if "cancelled" in {*statuses} else "failed")
    rows: Any = table
    left = update(rows).where(rows.project_id == project_id, rows.status.in_(unfinished))
    await session.execute(left.values(status=ended, completed_at=now()))


def project_tables(project_id: str) -> list[tuple[Table, ColumnElement[bool]]]:
    """Every table that may hold rows of a project, and which ones are.

    What refers to others comes before them, and the project itself last.
    """
    found: dict[str, ColumnElement[bool]] = {}
    tables = SQLModel.metadata.sorted_tables
    for table in tables:
        condition = _condition(table, found, project_id)
        if condition is not None:
            found[table.name] = condition
    owners = [table for table in tables if "event_seq" in table.columns]
    loose = {
        name: _references(SQLModel.metadata.tables[name].columns[column], owners, found)
        for name, column in COLUMNS_WITHOUT_FOREIGN_KEY.items()
    }
    others = [table.name for table in reversed(tables) if table.name in found]
    ordered = [
        *COLUMNS_WITHOUT_FOREIGN_KEY,
        *(name for name in others if name != PROJECT_TABLE),
        PROJECT_TABLE,
    ]
    return [(SQLModel.metadata.tables[name], (loose | found)[name]) for name in ordered]


def delete_statements(project_id: str, most: int) -> list[tuple[str, Any]]:
    """For each table its name and a statement that deletes at most so many of the project's rows.

    Without the few rows of `TABLES_DELETED_LAST`.
    """
    statements: list[tuple[str, Any]] = []
    for table, condition in project_tables(project_id):
        if table.name in TABLES_DELETED_LAST:
            continue
        keys = list(table.primary_key.columns)
        some = select(*keys).where(condition).limit(most).subquery()
        matches = [key == some.c[key.name] for key in keys]
        statements.append((table.name, delete(table).where(*matches)))
    return statements


def _condition(
    table: Table, found: dict[str, ColumnElement[bool]], project_id: str
) -> ColumnElement[bool] | None:
    """Which rows are the project's; None for a table that has none of a project."""
    if table.name == PROJECT_TABLE:
        return table.columns["id"] == project_id
    if "project_id" in table.columns:
        return table.columns["project_id"] == project_id
    owned = [
        key.parent.in_(select(key.column).where(found[key.column.table.name]))
        for key in table.foreign_keys
        if key.column.table.name in found
    ]
    return or_(*owned) if owned else None


def _references(
    column: ColumnElement[str], owners: list[Table], found: dict[str, ColumnElement[bool]]
) -> ColumnElement[bool]:
    return or_(*(column.in_(select(owner.columns["id"]).where(found[owner.name])) for owner in owners))
