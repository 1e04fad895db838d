"""Opening and editing pull requests: what GitHub allows, in its words when it does not."""

import sqlite3

from local.forge import refs
from local.forge.database import now
from local.forge.errors import Invalid
from local.forge.following import follow
from local.forge.pulls import NewPull, Pull, get
from local.forge.repositories import Repository


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
    parted = await repo.git.run("merge-base", base, head, codes=(0, 1))
    if parted.code == 1:
        message = f"The {new.head} branch has no history in common with {new.base}"
        raise Invalid.custom("PullRequest", message)
    if parted.text == head:
        raise Invalid.custom("PullRequest", f"No commits between {new.base} and {new.head}")


def already_exists(repo: Repository, head: str) -> Invalid:
    """GitHub's words for a second open pull request of the same branches."""
    return Invalid.custom("PullRequest", f"A pull request already exists for {repo.owner}:{head}.")


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
