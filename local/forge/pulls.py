"""Pull requests: their rows, and how they follow the branches they were made of."""

import sqlite3
from dataclasses import dataclass

from local.forge import refs
from local.forge.database import now
from local.forge.errors import Invalid, NotFound
from local.forge.repositories import Repository

ORDERS = {"created": "created_at", "updated": "updated_at", "popularity": "number", "long-running": "number"}


@dataclass(frozen=True)
class Pull:
    """A row of `pulls`.

    `base_sha` is the base's tip, and once merged the tip the merge found, so that base…head stays the change.
    `merge_commit_sha` on an open pull request is a merge begun: when the base contains it, it is done.
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

    @classmethod
    def of(cls, row: sqlite3.Row) -> "Pull":
        fields = dict(row)
        return cls(**fields | {"draft": bool(fields["draft"])})


@dataclass(frozen=True)
class NewPull:
    """What a pull request is made of; branches without their owner."""

    title: str
    body: str | None
    head: str
    base: str
    draft: bool


@dataclass(frozen=True)
class Filter:
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


async def create(repo: Repository, new: NewPull, author: str) -> Pull:
    """Opens a pull request under the repository's next number; `Invalid` in GitHub's words."""
    head, base = await refs.branch_tips(repo.git, new.head, new.base)
    if head is None or base is None:
        raise Invalid.field("PullRequest", "head" if head is None else "base")
    await must_differ(repo, new, base, head)

    def insert(connection: sqlite3.Connection) -> Pull:
        (number,) = connection.execute(
            "UPDATE repositories SET last_number = last_number + 1 WHERE id = ? RETURNING last_number",
            (repo.id,),
        ).fetchone()
        time = now()
        row = connection.execute(
            "INSERT INTO pulls (repository_id, number, title, body, state, draft, author, head_ref, head_sha,"
            " base_ref, base_sha, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
            (
                repo.id,
                number,
                new.title,
                new.body,
                new.draft,
                author,
                new.head,
                head,
                new.base,
                base,
                time,
                time,
            ),
        ).fetchone()
        return Pull.of(row)

    try:
        pull = await repo.db.transaction(insert)
    except sqlite3.IntegrityError:
        raise already_exists(repo, new.head) from None
    await follow(repo)  # keeps refs/pull/N/head, and sees a push that came between
    return await get(repo, pull.number)


async def must_differ(repo: Repository, new: NewPull, base: str, head: str) -> None:
    """Refuses branches with nothing between them, or with nothing in common."""
    if (await repo.git.run("merge-base", base, head, codes=(0, 1))).code == 1:
        message = f"The {new.head} branch has no history in common with {new.base}"
        raise Invalid.custom("PullRequest", message)
    if await refs.is_ancestor(repo.git, head, base):
        raise Invalid.custom("PullRequest", f"No commits between {new.base} and {new.head}")


def already_exists(repo: Repository, head: str) -> Invalid:
    """GitHub's words for a second open pull request of the same branches."""
    return Invalid.custom("PullRequest", f"A pull request already exists for {repo.owner}:{head}.")


async def get(repo: Repository, number: int) -> Pull:
    """One pull request by its number."""
    row = await repo.db.one("SELECT * FROM pulls WHERE repository_id = ? AND number = ?", repo.id, number)
    if row is None:
        raise NotFound
    return Pull.of(row)


async def find(repo: Repository, wanted: Filter, limit: int, offset: int) -> tuple[list[Pull], int]:
    """A page of pull requests and how many there are in all."""
    head = own_branch(repo, wanted.head) if wanted.head else None
    condition = (
        "pulls WHERE repository_id = ? AND ? IN ('all', state)"
        " AND (? IS NULL OR head_ref = ?) AND (? IS NULL OR base_ref = ?)"
    )
    wanted_head = (head or "") if wanted.head else None
    values = (repo.id, wanted.state, wanted_head, wanted_head, wanted.base, wanted.base)
    direction = "ASC" if wanted.direction == "asc" else "DESC"
    order = f"{ORDERS[wanted.sort]} {direction}, number {direction}"
    rows = await repo.db.all(
        f"SELECT * FROM {condition} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
        *values,
        limit,
        offset,
    )
    return [Pull.of(row) for row in rows], await repo.db.count(condition, *values)


async def edit(
    repo: Repository, pull: Pull, *, title: str | None, body: str | None, state: str | None, base: str | None
) -> Pull:
    """Changes what is given; `Invalid` when it cannot be reopened or retargeted."""
    head_sha, base_sha = await refs.branch_tips(repo.git, pull.head_ref, base or pull.base_ref)
    reopens = state == "open" and pull.state == "closed"
    if (reopens and (pull.merged_at or head_sha is None)) or (base and pull.merged_at):
        raise Invalid.field("PullRequest", "state" if reopens else "base")
    if base and base_sha is None:
        raise Invalid.field("PullRequest", "base")
    state = state or pull.state
    try:
        await repo.db.all(
            "UPDATE pulls SET title = ?, body = ?, state = ?, base_ref = ?, base_sha = ?, updated_at = ?,"
            " closed_at = CASE WHEN ? = 'open' THEN NULL ELSE coalesce(closed_at, ?) END WHERE id = ?",
            title if title is not None else pull.title,
            body if body is not None else pull.body,
            state,
            base or pull.base_ref,
            base_sha if base and base_sha else pull.base_sha,
            now(),
            state,
            now(),
            pull.id,
        )
    except sqlite3.IntegrityError:
        raise already_exists(repo, pull.head_ref) from None
    await follow(repo)
    return await get(repo, pull.number)


async def follow(repo: Repository) -> None:
    """Brings the open pull requests up to their branches; called after whatever moved one, and at start.

    A new head is recorded and kept under refs/pull/N/head; a deleted branch closes; a base that contains the
    head, or the merge that was begun, means merged. Doing it twice changes nothing, so a crash costs nothing.
    """
    async with repo.lock:
        rows = await repo.db.all("SELECT * FROM pulls WHERE repository_id = ? AND state = 'open'", repo.id)
        if not rows:
            return
        tips = {ref.name: ref.sha for ref in await refs.refs(repo.git, "refs/heads", "refs/pull")}
        latest = {pull: tips.get(f"refs/heads/{pull.head_ref}", pull.head_sha) for pull in map(Pull.of, rows)}
        mirrors = {f"refs/pull/{pull.number}/head": sha for pull, sha in latest.items()}
        await refs.set_all(repo.git, ((name, sha) for name, sha in mirrors.items() if tips.get(name) != sha))
        for pull, sha in latest.items():
            head, base = tips.get(f"refs/heads/{pull.head_ref}"), tips.get(f"refs/heads/{pull.base_ref}")
            if base is not None and base != pull.base_sha and (merge := await merged(repo, pull, sha, base)):
                await close(repo, pull, sha, merge)
            elif head is None or base is None:
                await close(repo, pull, sha, None)
            elif (head, base) != (pull.head_sha, pull.base_sha):
                await record(repo, pull, head, base)


async def merged(repo: Repository, pull: Pull, head: str, base: str) -> str | None:
    """The commit that merged it into the base, if one did."""
    begun = pull.merge_commit_sha
    if begun and await refs.is_ancestor(repo.git, begun, base):
        return begun
    return base if await refs.is_ancestor(repo.git, head, base) else None


async def begin_merge(repo: Repository, pull: Pull, commit: str) -> None:
    """Remembers the merge commit before the base moves to it; `follow` then tells that it was this one."""
    await repo.db.all("UPDATE pulls SET merge_commit_sha = ? WHERE id = ?", commit, pull.id)


async def close(repo: Repository, pull: Pull, head: str, merge_commit: str | None) -> None:
    """Closed, and merged when there is a merge commit."""
    time = now()
    await repo.db.all(
        "UPDATE pulls SET state = 'closed', head_sha = ?, closed_at = ?, updated_at = ?, merged_at = ?,"
        " merge_commit_sha = ? WHERE id = ?",
        *(head, time, time, time if merge_commit else None, merge_commit, pull.id),
    )


async def record(repo: Repository, pull: Pull, head: str, base: str) -> None:
    """New tips; only a new head counts as an update of the pull request."""
    time = now() if head != pull.head_sha else pull.updated_at
    await repo.db.all(
        "UPDATE pulls SET head_sha = ?, base_sha = ?, updated_at = ? WHERE id = ?", head, base, time, pull.id
    )


async def must_be_merged(repo: Repository, number: int) -> None:
    """`NotFound` for one that is not merged, as GitHub answers that question."""
    if (await get(repo, number)).merged_at is None:
        raise NotFound
