"""Which migrations workers of the version before can live with, and which are refused."""

import asyncio
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql

from cli.deployment.migrate import ALEMBIC_CONFIG
from kit.database import driver_url
from local.stack.postgres import Postgres
from tests.support.check_migrations import Breaking, check_steps
from tests.support.schema_changes import breaking_changes, read_schema

BEFORE = """
    CREATE TABLE job (
        id text PRIMARY KEY, name varchar(40) NOT NULL, size integer, mood text NOT NULL DEFAULT 'fine'
    );
    CREATE TABLE note (id text PRIMARY KEY, job_id text REFERENCES job (id));
"""
HARMLESS = [
    "CREATE TABLE more (id text PRIMARY KEY, size integer NOT NULL CHECK (size > 0), UNIQUE (size))",
    "ALTER TABLE job ADD COLUMN source text",
    "ALTER TABLE job ADD COLUMN source text NOT NULL DEFAULT 'user'",
    "ALTER TABLE job ADD COLUMN owner text REFERENCES job (id), ADD CHECK (owner <> 'x')",
    "ALTER TABLE job ADD COLUMN token text; CREATE UNIQUE INDEX by_token ON job (token)",
    "ALTER TABLE job ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE job ALTER COLUMN name TYPE varchar(80), ALTER COLUMN size TYPE bigint",
    "ALTER TABLE job ALTER COLUMN name TYPE text, ALTER COLUMN name DROP NOT NULL",
    "CREATE INDEX by_name ON job (name)",
    "ALTER TABLE note DROP CONSTRAINT note_job_id_fkey",
]
NO_DEFAULT = "job.source is NOT NULL and has no default that stays"
BREAKING = [
    ("DROP TABLE note", "table note is gone"),
    ("ALTER TABLE note RENAME TO remark", "table note is gone"),
    ("ALTER TABLE job DROP COLUMN size", "job.size is gone"),
    ("ALTER TABLE job RENAME COLUMN size TO extent", "job.size is gone"),
    ("ALTER TABLE job ADD COLUMN source text NOT NULL", NO_DEFAULT),
    (
        """ALTER TABLE job ADD COLUMN source text NOT NULL DEFAULT 'user';
        ALTER TABLE job ALTER COLUMN source DROP DEFAULT""",
        NO_DEFAULT,
    ),
    ("ALTER TABLE job ALTER COLUMN size SET NOT NULL", "job.size becomes NOT NULL"),
    ("ALTER TABLE job ALTER COLUMN mood DROP DEFAULT", "job.mood loses its default"),
    ("ALTER TABLE job ALTER COLUMN name TYPE varchar(20)", "job.name changes from character varying(40)"),
    ("ALTER TABLE job ALTER COLUMN size TYPE text", "job.size changes from integer to text"),
    ("ALTER TABLE job ADD UNIQUE (name)", "job gets a rule for what they write: UNIQUE (name)"),
    ("CREATE UNIQUE INDEX by_name ON job (lower(name))", "CREATE UNIQUE INDEX ON public.job"),
    ("ALTER TABLE job ADD CHECK (size > 0)", "job gets a rule for what they write: CHECK ((size > 0))"),
    ("ALTER TABLE job ADD FOREIGN KEY (mood) REFERENCES job (id)", "FOREIGN KEY (mood)"),
    (
        "ALTER TABLE job ADD COLUMN c text NOT NULL DEFAULT 'x'; CREATE UNIQUE INDEX by_c ON job (c)",
        "CREATE UNIQUE INDEX ON public.job USING btree (c)",
    ),
]


async def a_database(postgres: Postgres) -> str:
    """The address of a new, empty one."""
    name = f"changes_{uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return postgres.url.rsplit("/", 1)[0] + f"/{name}"


def changes_of(url: str, statements: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BEFORE)
        before = read_schema(connection)
        connection.execute(statements)
        return breaking_changes(before, read_schema(connection))


@pytest.mark.parametrize("statements", HARMLESS)
async def test_a_change_that_old_workers_can_live_with(postgres: Postgres, statements: str) -> None:
    assert await asyncio.to_thread(changes_of, await a_database(postgres), statements) == []


@pytest.mark.parametrize(("statements", "expected"), BREAKING)
async def test_a_change_that_breaks_old_workers(postgres: Postgres, statements: str, expected: str) -> None:
    changes = await asyncio.to_thread(changes_of, await a_database(postgres), statements)
    assert any(expected in change for change in changes), changes


def a_migration(directory: Path, said: str) -> Config:
    """The configuration of two migrations, the second of which drops a column."""
    versions = directory / "versions"
    versions.mkdir()
    (versions / "0001.py").write_text(
        'from alembic import op\nrevision, down_revision = "0001", None\n'
        'def upgrade(): op.execute("CREATE TABLE job (id text, size int)")\n'
    )
    (versions / "0002.py").write_text(
        f'from alembic import op\nrevision, down_revision = "0002", "0001"\n{said}\n'
        'def upgrade(): op.execute("ALTER TABLE job DROP COLUMN size")\n'
    )
    config = Config(ALEMBIC_CONFIG)
    config.set_main_option("version_locations", str(versions))
    return config


@pytest.mark.parametrize(
    ("said", "upgrading", "refusal"),
    [
        ("", "", "workers of the version before would fail: job.size is gone"),
        ('BREAKS_OLD_WORKERS = "it holds secrets"', "", "docs/upgrading.md has to name it"),
        ('BREAKS_OLD_WORKERS = "it holds secrets"', "| `0002` | sizes held secrets |", None),
    ],
)
async def test_a_migration_that_breaks_old_workers_says_why(
    postgres: Postgres, tmp_path: Path, said: str, upgrading: str, refusal: str | None
) -> None:
    config, url = a_migration(tmp_path, said), await a_database(postgres)
    config.attributes["url"] = driver_url(url)
    await asyncio.to_thread(command.upgrade, config, "0001")
    if refusal is None:
        await asyncio.to_thread(check_steps, config, url, upgrading)
    else:
        with pytest.raises(Breaking, match=refusal):
            await asyncio.to_thread(check_steps, config, url, upgrading)
