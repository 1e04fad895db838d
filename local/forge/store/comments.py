"""Comments on pull requests (GitHub keeps them under issues)."""

import sqlite3
from dataclasses import dataclass

from local.forge.errors import NotFound
from local.forge.store.database import now
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, node_id


@dataclass(frozen=True)
class Comment:
    """A row of `comments`."""

    id: int
    repository_id: int
    number: int
    author: str
    body: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: sqlite3.Row) -> "Comment":
        return cls(**dict(row))

    def shape(self, site: Viewer, repo: Repository) -> Json:
        """GitHub's issue comment."""
        api = f"{site.repo_api(repo)}/issues"
        return {
            "id": self.id,
            "node_id": node_id("IssueComment", self.id),
            "url": f"{api}/comments/{self.id}",
            "html_url": f"{site.repo_html(repo)}/pull/{self.number}#issuecomment-{self.id}",
            "issue_url": f"{api}/{self.number}",
            "body": self.body,
            "user": site.user(self.author),
            "author_association": "OWNER",
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


async def add(repo: Repository, number: int, body: str, author: str) -> Comment:
    """A new comment; the pull request counts as updated."""

    def insert(connection: sqlite3.Connection) -> Comment:
        time = now()
        row = connection.execute(
            "INSERT INTO comments (repository_id, number, author, body, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
            (repo.id, number, author, body, time, time),
        ).fetchone()
        connection.execute(
            "UPDATE pulls SET updated_at = ? WHERE repository_id = ? AND number = ?", (time, repo.id, number)
        )
        return Comment.of(row)

    return await repo.db.transaction(insert)


async def list_by_pull_request(repo: Repository, number: int) -> list[Comment]:
    """Every comment of a pull request, oldest first."""
    rows = await repo.db.all(
        "SELECT * FROM comments WHERE repository_id = ? AND number = ? ORDER BY id", repo.id, number
    )
    return [Comment.of(row) for row in rows]


async def get(repo: Repository, key: int) -> Comment:
    """One comment by its id."""
    row = await repo.db.one("SELECT * FROM comments WHERE repository_id = ? AND id = ?", repo.id, key)
    if row is None:
        raise NotFound
    return Comment.of(row)


async def edit(repo: Repository, key: int, body: str) -> Comment:
    """Other words for a comment."""
    await repo.db.all(
        "UPDATE comments SET body = ?, updated_at = ? WHERE repository_id = ? AND id = ?",
        body,
        now(),
        repo.id,
        key,
    )
    return await get(repo, key)


async def remove(repo: Repository, key: int) -> None:
    """Takes a comment away."""
    await get(repo, key)
    await repo.db.all("DELETE FROM comments WHERE repository_id = ? AND id = ?", repo.id, key)
