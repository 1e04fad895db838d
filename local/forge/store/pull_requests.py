"""Pull requests: their rows, and finding them."""

import sqlite3
from dataclasses import dataclass

from local.forge.errors import NotFound
from local.forge.store.repositories import Repository

SORT_COLUMNS = {
    "created": "created_at",
    "updated": "updated_at",
    "popularity": "number",
    "long-running": "number",
}


@dataclass(frozen=True)
class PullRequest:
    """A row of `pulls`.

    `base_sha` is the base's tip, and once merged the tip the merge found, so that base…head stays the change.
    `merge_commit_sha` on an open pull request is a merge begun: when the base contains it, it is done.
    `merged_by` is None where a push merged it.
    """

    id: int
    repository_id: int
    number: int
    title: str
    body: str | None
    state: str
    draft: bool
    author: str
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    created_at: str
    updated_at: str
    closed_at: str | None
    merged_at: str | None
    merge_commit_sha: str | None
    merged_by: str | None

    @classmethod
    def of(cls, row: sqlite3.Row) -> "PullRequest":
        fields = dict(row)
        return cls(**fields | {"draft": bool(fields["draft"])})


@dataclass(frozen=True)
class NewPullRequest:
    """What a pull request is made of; branches without their owner."""

    title: str
    body: str | None
    head: str
    base: str
    draft: bool


@dataclass(frozen=True)
class PullRequestFilter:
    """Which pull requests a list shows, and in which order."""

    state: str = "open"
    head: str | None = None
    base: str | None = None
    sort: str = "created"
    direction: str = "desc"


def own_branch(repo: Repository, head: str) -> str | None:
    """The branch in `branch` or `owner:branch`; None for another owner, as there are no forks here."""
    owner, colon, branch = head.rpartition(":")
    return branch if not colon or owner.lower() == repo.owner.lower() else None


async def get(repo: Repository, number: int) -> PullRequest:
    """One pull request by its number."""
    row = await repo.db.one("SELECT * FROM pulls WHERE repository_id = ? AND number = ?", repo.id, number)
    if row is None:
        raise NotFound
    return PullRequest.of(row)


async def find(
    repo: Repository, wanted: PullRequestFilter, limit: int, offset: int
) -> tuple[list[PullRequest], int]:
    """A page of pull requests and how many there are in all."""
    condition = (
        "pulls WHERE repository_id = ? AND ? IN ('all', state)"
        " AND (? IS NULL OR head_ref = ?) AND (? IS NULL OR base_ref = ?)"
    )
    head = None
    if wanted.head and ":" in wanted.head:  # without an owner GitHub does not filter at all
        head = own_branch(repo, wanted.head) or ""
    values = (repo.id, wanted.state, head, head, wanted.base, wanted.base)
    direction = "ASC" if wanted.direction == "asc" else "DESC"
    order = f"{SORT_COLUMNS[wanted.sort]} {direction}, number {direction}"
    rows = await repo.db.all(
        f"SELECT * FROM {condition} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
        *values,
        limit,
        offset,
    )
    return [PullRequest.of(row) for row in rows], await repo.db.count(condition, *values)


async def require_merged(repo: Repository, number: int) -> None:
    """`NotFound` for one that is not merged, as GitHub answers that question."""
    if (await get(repo, number)).merged_at is None:
        raise NotFound
