"""A database of its own with many rows in every table, whatever tables and columns there are.

The older half is of one project and the newer one of another: a list that looks for rows of the first one
row by row, newest first, reads half the table. Where a column has a choice of values, nearly all rows have
the same one and only the oldest have the others.
"""

import re
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import ARRAY, Boolean, Column, Date, DateTime, Enum, Float, Integer, Numeric, Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

import models
from models.projects.api_key import SCOPES

ROWS = 6_000
RARE_ROWS = 20
"""How many rows of each table, the oldest, have another value than the rest."""
COMMON_VALUES = ("completed", "killed", "approved", "low", "api", "anthropic")
"""The values that nearly all rows have, where there is a choice."""
ROWS_BY_SHORT_TABLE = {
    "project": 2,
    "member": 200,
    "cost_rate": 100,
    "reservation": 20,
    "open_call": 20,
    "webhook_endpoint": 20,
    "github_hook": 20,
    "learning": 400,
    "learning_version": 100,
}
"""Tables that are short wherever they are: projects have no thousands of members, of learnings that people
approved, or of model calls in flight."""
KINDS = {"ctx": "context", "skill": "skill", "cmd": "command", "scr": "script"}
"""Kinds of assets by the beginning of their ids: row `n` is of the kind `n % 4`."""
TABLES_NOT_FILLED = ("usage_rollup", "alembic_version", "installation")
"""By triggers and migrations; an installation is one row."""
PROJECT = "prj_" + "0" * 31 + "1"
OTHER = "prj_" + "0" * 31 + "2"
PREFIXES = {
    "session_id": "is",
    "issue_session_id": "is",
    "answering_session_id": "as",
    "subject_id": "r",
    "job_id": "r",
    "chain_id": "wc",
    "recurring_task_id": "rt",
    "asset_id": "ctx",
    "run_id": "r",
    "persona_id": "per",
    "sandbox_id": "s",
    "source_id": "msg",
    "member_id": "user",
}
"""Of columns that hold ids without a foreign key."""


def prefix_of(table: str) -> str:
    """What the ids of a table begin with."""
    for mapper in SQLModel._sa_registry.mappers:
        if str(mapper.class_.__tablename__) == table and (field := mapper.class_.model_fields.get("id")):
            factory = field.default_factory
            return str(factory()).split("_")[0] if factory else table
    return table


def id_expression(prefix: str, number: str = "n") -> str:
    return f"'{prefix}_' || lpad(to_hex({number}), 32, '0')"


def id_of(table: str, number: str = "n") -> str:
    if table == "asset":
        body = f"lpad(to_hex({number}), 32, '0')"
        return f"(ARRAY[{', '.join(map(repr, KINDS))}])[1 + {number} % 4] || '_' || {body}"
    return id_expression(prefix_of(table), number)


def column_expression(column: Column[Any]) -> str:
    """SQL of the value of one column in row `n`."""
    name, kind = column.name, column.type
    if name == "project_id":
        return f"CASE WHEN n <= {ROWS // 2} THEN '{PROJECT}' ELSE '{OTHER}' END"
    if column.foreign_keys:
        target = str(next(iter(column.foreign_keys)).target_fullname).split(".")[0]
        if column.nullable and target == column.table.name:
            return "NULL"
        return id_of(
            target, f"1 + n % {ROWS_BY_SHORT_TABLE[target]}" if target in ROWS_BY_SHORT_TABLE else "n"
        )
    if column.primary_key and name == "id":
        return id_of(column.table.name)
    if (column.table.name, name) == ("asset", "kind"):
        return f"(ARRAY[{', '.join(map(repr, KINDS.values()))}])[1 + n % 4]"
    if name in ("deleted_at", "purged_at", "removed_at", "revoked_at", "dismissed_at", "waiting"):
        return "NULL"
    match kind:
        case Enum():
            values = [str(each) for each in kind.enums]
            usual = next((each for each in COMMON_VALUES if each in values), values[-1])
            choices = ", ".join(f"'{each}'" for each in values)
            rare = f"(ARRAY[{choices}])[1 + n % {len(values)}]"
            return f"CASE WHEN n <= {RARE_ROWS} THEN {rare} ELSE '{usual}' END"
        case Boolean():
            return f"n > {RARE_ROWS}" if name == "is_enabled" else f"n <= {RARE_ROWS}"
        case DateTime():
            return "timestamptz '2026-01-01Z' + n * interval '20 minutes'"
        case Date():
            return "(timestamptz '2026-01-01Z' + n * interval '20 minutes')::date"
        case ARRAY():
            return "'{}'"
        case JSONB() if name == "pipeline_steps":
            step = f"jsonb_build_object('role', 'designer', 'personaId', {id_expression('per')})"
            return f"jsonb_build_array({step})"
        case JSONB():
            return "NULL" if column.nullable else ("'[]'" if _is_list(column) else "'{}'")
        case Integer() | Float() | Numeric():
            return "n"
    if name in PREFIXES:
        return id_expression(PREFIXES[name])
    if name in ("service", "slug", "email"):
        return (
            f"CASE WHEN n <= {RARE_ROWS} THEN 'rare' ELSE 'anthropic' END"
            if name == "service"
            else f"'{name}' || n"
        )
    if column.type.__class__.__name__ == "LargeBinary":
        return "''::bytea"
    return f"'{name} ' || CASE WHEN n <= {RARE_ROWS} THEN 'needle ' ELSE '' END || n"


def _is_list(column: Column[Any]) -> bool:
    for mapper in SQLModel._sa_registry.mappers:
        if mapper.local_table is column.table:
            return re.match(r"list\b", str(mapper.class_.model_fields[column.name].annotation)) is not None
    return False


def tables() -> Iterable[Table]:
    assert models.Run.__tablename__ == "run"  # every table is known
    return [table for table in SQLModel.metadata.sorted_tables if table.name not in TABLES_NOT_FILLED]


def fill(url: str, key: models.ApiKey) -> None:
    """Fill every table; `key` opens the project."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for table in tables():
            generated = table.autoincrement_column
            columns = [each for each in table.columns if each.identity is None and each is not generated]
            names = ", ".join(f'"{column.name}"' for column in columns)
            values = ", ".join(column_expression(column) for column in columns)
            rows = ROWS_BY_SHORT_TABLE.get(table.name, ROWS)
            connection.execute(
                f'INSERT INTO "{table.name}" ({names}) SELECT {values} FROM generate_series(1, {rows}) AS n'
                " ON CONFLICT DO NOTHING".encode()
            )
        change = sql.SQL("UPDATE api_key SET hash = {}, scopes = {}, expires_at = NULL WHERE id = {}")
        connection.execute(change.format(key.hash, [*SCOPES], "kak_" + "0" * 31 + "1"))
        connection.execute("VACUUM ANALYZE")
