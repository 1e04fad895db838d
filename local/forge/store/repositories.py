"""Repositories: a row and a bare directory that appear together, and the store that holds them."""

import asyncio
import re
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.forge.errors import AlreadyExists, Invalid, NotFound
from local.forge.git.fast_import import commit_files
from local.forge.git.process import Git
from local.forge.git.refs import branch_is_well_formed, list_refs
from local.forge.store.database import Database, now

OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?")
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
REPOSITORY_COLUMNS = (
    "id, owner, name, private, description, default_branch, created_at, updated_at, pushed_at"
)


@dataclass(frozen=True)
class Repository:
    """One repository and the two places it is kept in; `lock` orders reading refs and then writing rows."""

    id: int
    owner: str
    name: str
    private: bool
    description: str | None
    default_branch: str
    created_at: str
    updated_at: str
    pushed_at: str
    git: Git
    db: Database
    lock: asyncio.Lock

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True)
class NewRepository:
    """What a repository starts with; without files it starts empty."""

    owner: str
    name: str
    private: bool = True
    description: str | None = None
    default_branch: str = "main"
    files: Mapping[str, bytes | str] | None = None
    message: str = "Initial commit"


class Store:
    """The data directory: `repos/OWNER/NAME.git`, `forge.sqlite3`, and the `hooks` that git runs."""

    def __init__(self, data: Path, login: str) -> None:
        self.root = data.resolve() / "repos"
        self.root.mkdir(parents=True, exist_ok=True)
        self.hooks = self.root.parent / "hooks"
        self.login = login
        self.db = Database(data / "forge.sqlite3")
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def find(self, owner: str, name: str) -> Repository:
        """The repository, names compared without case; `NotFound` also for names that cannot exist."""
        row = await self.db.one(
            f"SELECT {REPOSITORY_COLUMNS} FROM repositories WHERE owner = ? AND name = ?",  # noqa: S608
            owner,
            name,
        )
        if row is None:
            raise NotFound
        return self._open(row)

    async def get(self, key: int) -> Repository:
        """The repository of this id."""
        row = await self.db.one(f"SELECT {REPOSITORY_COLUMNS} FROM repositories WHERE id = ?", key)  # noqa: S608
        if row is None:
            raise NotFound
        return self._open(row)

    async def all(self) -> list[Repository]:
        """Every repository by name."""
        rows = await self.db.all(f"SELECT {REPOSITORY_COLUMNS} FROM repositories ORDER BY owner, name")  # noqa: S608
        return [self._open(row) for row in rows]

    async def create(self, new: NewRepository) -> Repository:
        """Makes directory and row, whole or not at all; `Invalid` for a bad or a taken name."""
        await validate(new)
        directory = self._directory(new.owner, new.name)
        prepared = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self.root))
        try:
            git = Git(prepared)
            await git.init(new.default_branch)
            if new.files:
                await commit_files(git, new.default_branch, new.files, new.message, author=self.login)

            tips = await list_refs(git, "refs/heads")

            def insert(connection: sqlite3.Connection) -> None:
                time = now()
                (key,) = connection.execute(
                    "INSERT INTO repositories (owner, name, private, description, default_branch, created_at,"
                    " updated_at, pushed_at, tips_known) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1) RETURNING id",
                    (new.owner, new.name, new.private, new.description, new.default_branch, time, time, time),
                ).fetchone()
                rows = [(key, tip.name, tip.sha) for tip in tips]
                connection.executemany("INSERT INTO tips VALUES (?, ?, ?)", rows)
                # The row is ours alone now, so a directory in the way is one that a crash left without a row.
                shutil.rmtree(directory, ignore_errors=True)
                directory.parent.mkdir(exist_ok=True)
                prepared.rename(directory)

            await self.db.transaction(insert)
        except sqlite3.IntegrityError:
            raise AlreadyExists.custom("Repository", "name already exists on this account") from None
        finally:
            shutil.rmtree(prepared, ignore_errors=True)
        return await self.find(new.owner, new.name)

    def _directory(self, owner: str, name: str) -> Path:
        return self.root / owner.lower() / f"{name.lower()}.git"

    def _open(self, row: sqlite3.Row) -> Repository:
        fields = dict(row)
        return Repository(
            **fields | {"private": bool(fields["private"])},
            git=Git(self._directory(fields["owner"], fields["name"])),
            db=self.db,
            lock=self._locks[fields["id"]],
        )

    def close(self) -> None:
        """Closes the database file."""
        self.db.close()


async def validate(new: NewRepository) -> None:
    """Names as GitHub allows them; nothing else ever becomes a path."""
    if not OWNER.fullmatch(new.owner):
        raise Invalid.field("Repository", "owner")
    if (
        not NAME.fullmatch(new.name)
        or new.name in {".", ".."}
        or new.name.lower().endswith((".git", ".wiki"))
    ):
        raise Invalid.field("Repository", "name")
    if not await branch_is_well_formed(new.default_branch):
        raise Invalid.field("Repository", "default_branch")


async def touch(repository: Repository, references: Collection[str]) -> None:
    """Records that something was pushed; the first branch of an empty repository becomes the default one.

    references: the full names of all there are, in order.
    """
    heads = [name for name in references if name.startswith("refs/heads/")]
    default = f"refs/heads/{repository.default_branch}"
    if heads and default not in heads:
        await repository.git.run("symbolic-ref", "HEAD", heads[0])
        default = heads[0]
    time = now()
    await repository.db.all(
        "UPDATE repositories SET pushed_at = ?, updated_at = ?, default_branch = ? WHERE id = ?",
        *(time, time, default.removeprefix("refs/heads/"), repository.id),
    )
