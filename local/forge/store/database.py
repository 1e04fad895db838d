"""Everything of the forge that is not git: one SQLite file, one writer thread, survives `kill -9`."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Parameter = str | int | None

# Each entry takes the file from version N to N + 1; entries are only ever appended.
MIGRATIONS = [
    """
    CREATE TABLE repositories (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        owner TEXT NOT NULL COLLATE NOCASE,
        name TEXT NOT NULL COLLATE NOCASE,
        private INTEGER NOT NULL,
        description TEXT,
        default_branch TEXT NOT NULL,
        last_number INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        pushed_at TEXT NOT NULL,
        UNIQUE (owner, name)
    );
    CREATE TABLE pulls (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        repository_id INTEGER NOT NULL REFERENCES repositories (id),
        number INTEGER NOT NULL,
        title TEXT NOT NULL,
        body TEXT,
        state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
        draft INTEGER NOT NULL,
        author TEXT NOT NULL,
        head_ref TEXT NOT NULL,
        head_sha TEXT NOT NULL,
        base_ref TEXT NOT NULL,
        base_sha TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        closed_at TEXT,
        merged_at TEXT,
        merge_commit_sha TEXT,
        UNIQUE (repository_id, number)
    );
    CREATE UNIQUE INDEX one_open_pull ON pulls (repository_id, head_ref, base_ref) WHERE state = 'open';
    CREATE TABLE comments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        repository_id INTEGER NOT NULL REFERENCES repositories (id),
        number INTEGER NOT NULL,
        author TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    );
    CREATE INDEX comments_of ON comments (repository_id, number);
    CREATE TABLE statuses (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        repository_id INTEGER NOT NULL REFERENCES repositories (id),
        sha TEXT NOT NULL,
        context TEXT NOT NULL,
        state TEXT NOT NULL,
        description TEXT,
        target_url TEXT,
        author TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE INDEX statuses_of ON statuses (repository_id, sha);
    CREATE TABLE check_runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        repository_id INTEGER NOT NULL REFERENCES repositories (id),
        suite_id INTEGER NOT NULL,
        head_sha TEXT NOT NULL,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        conclusion TEXT,
        details_url TEXT,
        external_id TEXT,
        started_at TEXT,
        completed_at TEXT,
        output_title TEXT,
        output_summary TEXT,
        output_text TEXT
    );
    CREATE INDEX check_runs_of ON check_runs (repository_id, head_sha);
    """,
    """
    ALTER TABLE pulls ADD COLUMN merged_by TEXT;
    CREATE TABLE protections (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        repository_id INTEGER NOT NULL REFERENCES repositories (id),
        branch TEXT NOT NULL,
        rules TEXT NOT NULL,
        UNIQUE (repository_id, branch)
    );
    CREATE TABLE reviews (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        repository_id INTEGER NOT NULL REFERENCES repositories (id),
        number INTEGER NOT NULL,
        author TEXT NOT NULL,
        body TEXT NOT NULL,
        state TEXT NOT NULL,
        commit_id TEXT NOT NULL,
        submitted_at TEXT NOT NULL
    );
    CREATE INDEX reviews_of ON reviews (repository_id, number);
    """,
    """
    CREATE TABLE hooks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        repository_id INTEGER REFERENCES repositories (id),
        config TEXT NOT NULL,
        events TEXT NOT NULL,
        active INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    );
    CREATE UNIQUE INDEX one_hook_of_all ON hooks ((1)) WHERE repository_id IS NULL;
    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        hook_id INTEGER NOT NULL REFERENCES hooks (id) ON DELETE CASCADE,
        repository_id INTEGER REFERENCES repositories (id),
        guid TEXT NOT NULL,
        event TEXT NOT NULL,
        action TEXT,
        sender TEXT NOT NULL,
        facts TEXT NOT NULL,
        payload TEXT,
        redelivery INTEGER NOT NULL,
        delivered_at TEXT,
        duration REAL,
        status TEXT,
        status_code INTEGER,
        url TEXT,
        request_headers TEXT,
        response_headers TEXT,
        response_body TEXT
    );
    CREATE INDEX deliveries_of ON deliveries (hook_id, id);
    CREATE INDEX deliveries_due ON deliveries (hook_id, id) WHERE delivered_at IS NULL;
    ALTER TABLE repositories ADD COLUMN tips_known INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE tips (
        repository_id INTEGER NOT NULL REFERENCES repositories (id),
        name TEXT NOT NULL,
        sha TEXT NOT NULL,
        PRIMARY KEY (repository_id, name)
    ) WITHOUT ROWID
    """,
]


def now() -> str:
    """The time as GitHub writes it: `2026-11-22T10:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Database:
    """The one connection, used from its own thread; a transaction is one function."""

    def __init__(self, file: Path) -> None:
        self.written = asyncio.Event()
        """Set by every transaction, for who waits for new rows; the waiter clears it."""
        file.touch(mode=0o600)  # secrets of webhooks are in it
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="forge-database")
        self._connection = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._migrate()

    def _migrate(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")  # two processes may open a new file at once
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in script.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version={number}")
        self._connection.execute("COMMIT")

    async def all(self, sql: str, *parameters: Parameter) -> list[sqlite3.Row]:
        """Every row of a query."""
        return await self._call(lambda: self._connection.execute(sql, parameters).fetchall())

    async def one(self, sql: str, *parameters: Parameter) -> sqlite3.Row | None:
        """The first row of a query or of a single writing statement with RETURNING."""
        rows = await self.all(sql, *parameters)
        return rows[0] if rows else None

    async def count(self, table_and_condition: str, *parameters: Parameter) -> int:
        """`SELECT count(*) FROM …`; the text is ours, never the caller's."""
        row = await self.one(f"SELECT count(*) FROM {table_and_condition}", *parameters)  # noqa: S608
        return int(row[0]) if row else 0

    async def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` alone and commits, or rolls everything back when it raises."""

        def whole() -> T:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            return result

        result = await self._call(whole)
        self.written.set()
        return result

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def close(self) -> None:
        """Waits for what is under way and closes the file."""
        self._thread.shutdown()
        self._connection.close()
