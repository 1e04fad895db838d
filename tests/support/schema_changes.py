"""What a migration changes, seen in PostgreSQL itself, and what of it workers of the version before cannot
live with: they go on while the migration runs and until the last of them is replaced (docs/upgrading.md).

They name the columns that they know when they write.  So a migration may add tables, columns that can be left
out and indexes, and may loosen rules.  It may not take away, rename, tighten or narrow anything; that takes
two releases, the second when no worker of the first is left.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import psycopg

_COLUMNS: Final = """
    SELECT class.relname, attname, format_type(atttypid, atttypmod), NOT attnotnull,
        atthasdef OR attidentity <> ''
    FROM pg_attribute JOIN pg_class AS class ON class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
"""
_RULES: Final = """
    SELECT conrelid::regclass::text, pg_get_constraintdef(oid), contype = 'u' OR contype = 'p', ARRAY(
        SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)
    )
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'c', 'f', 'x')
    UNION ALL
    SELECT indrelid::regclass::text, regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \\S+ ', 'INDEX '),
        true, ARRAY(SELECT coalesce(attname::text, '') FROM unnest(indkey) AS number
            LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = number)
    FROM pg_index JOIN pg_class AS class ON class.oid = indexrelid
    WHERE indisunique AND relnamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
_LENGTH: Final = re.compile(r"character varying\((\d+)\)")
_WIDER: Final = {("smallint", "integer"), ("smallint", "bigint"), ("integer", "bigint")}


class Column(NamedTuple):
    type: str
    nullable: bool
    has_default: bool
    """Of the server's: a statement that does not name the column is given a value."""

    @property
    def can_be_left_out(self) -> bool:
        return self.nullable or self.has_default


class Rule(NamedTuple):
    """A constraint, or a unique index."""

    table: str
    definition: str
    is_unique: bool
    columns: tuple[str, ...]
    """An empty name stands for an expression."""


class Schema(NamedTuple):
    tables: dict[str, dict[str, Column]]
    """The columns of each, by name."""
    rules: frozenset[Rule]


def read_schema(connection: psycopg.Connection) -> Schema:
    tables: dict[str, dict[str, Column]] = {}
    for table, name, *column in connection.execute(_COLUMNS):
        tables.setdefault(table, {})[name] = Column(*column)
    rules = [
        Rule(table, text, unique, tuple(columns))
        for table, text, unique, columns in connection.execute(_RULES)
    ]
    return Schema(tables, frozenset(rules))


def breaking_changes(before: Schema, after: Schema) -> list[str]:
    """What workers that know the schema before cannot live with in the one after, one sentence each."""
    return [*_of_columns(before, after), *_of_rules(before, after)]


def _of_columns(before: Schema, after: Schema) -> Iterator[str]:
    for table, columns in before.tables.items():
        if (now := after.tables.get(table)) is None:
            yield f"table {table} is gone"
            continue
        for name, old in columns.items():
            if (new := now.get(name)) is None:
                yield f"{table}.{name} is gone"
                continue
            if old.type != new.type and not _is_wider(old.type, new.type):
                yield f"{table}.{name} changes from {old.type} to {new.type}"
            if old.nullable and not new.nullable:
                yield f"{table}.{name} becomes NOT NULL"
            elif old.can_be_left_out and not new.can_be_left_out:
                yield f"{table}.{name} loses its default"
        for name in now.keys() - columns.keys():
            if not now[name].can_be_left_out:
                yield f"{table}.{name} is NOT NULL and has no default that stays"


def _of_rules(before: Schema, after: Schema) -> Iterator[str]:
    for rule in sorted(after.rules - before.rules):
        if (known := before.tables.get(rule.table)) is None:
            continue
        now = after.tables[rule.table]
        is_theirs = any(name in known or name not in now for name in rule.columns)
        repeats = rule.is_unique and any(now[name].has_default for name in rule.columns if name in now)
        if is_theirs or repeats:
            yield f"{rule.table} gets a rule for what they write: {rule.definition}"


def _is_wider(old: str, new: str) -> bool:
    if (old, new) in _WIDER:
        return True
    length = _LENGTH.fullmatch(old)
    longer = _LENGTH.fullmatch(new)
    is_text = new in ("text", "character varying")
    return length is not None and (is_text or (longer is not None and int(longer[1]) >= int(length[1])))
