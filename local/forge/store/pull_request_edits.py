"""Opening and editing pull requests: what GitHub allows, in its words when it does not."""

import sqlite3
from dataclasses import dataclass

from local.forge.errors import Invalid, NotFound
from local.forge.git import refs
from local.forge.store.database import now
from local.forge.store.pull_request_sync import follow, of_pull
from local.forge.store.pull_requests import NewPull, Pull, get
from local.forge.store.repositories import Repository, Store
from local.forge.viewer import Json, node_key
from local.forge.webhooks.events import record


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
        record(connection, repo, of_pull("opened", Pull.of(row), author))
        return Pull.of(row)

    try:
        pull = await repo.db.transaction(insert)
    except sqlite3.IntegrityError:
        raise already_exists(repo, new.head) from None
    await follow(repo, author)  # keeps refs/pull/N/head, and sees a push that came between
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


@dataclass(frozen=True)
class Edit:
    """What is to be changed; None leaves it as it is."""

    title: str | None
    body: str | None
    state: str | None
    base: str | None


async def edit(repo: Repository, pull: Pull, wish: Edit, by: str) -> Pull:
    """Changes what is given; `Invalid` when it cannot be reopened or retargeted."""
    base = wish.base
    head_sha, base_sha = await refs.branch_tips(repo.git, pull.head_ref, base or pull.base_ref)
    reopens = wish.state == "open" and pull.state == "closed"
    if (reopens and (pull.merged_at or head_sha is None)) or (base and pull.merged_at):
        raise Invalid.field("PullRequest", "state" if reopens else "base")
    if base and base_sha is None:
        raise Invalid.field("PullRequest", "base")

    def update(connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT * FROM pulls WHERE id = ?", (pull.id,)).fetchone()
        before = Pull.of(row)
        state = wish.state or before.state
        row = connection.execute(
            "UPDATE pulls SET title = ?, body = ?, state = ?, base_ref = ?, base_sha = ?, updated_at = ?,"
            " closed_at = CASE WHEN ? = 'open' THEN NULL ELSE coalesce(closed_at, ?) END WHERE id = ?"
            " RETURNING *",
            (
                wish.title if wish.title is not None else before.title,
                wish.body if wish.body is not None else before.body,
                state,
                base or before.base_ref,
                base_sha if base and base_sha else before.base_sha,
                now(),
                state,
                now(),
                pull.id,
            ),
        ).fetchone()
        after = Pull.of(row)
        if changes := differences(before, after):
            record(connection, repo, of_pull("edited", after, by, changes=changes))
        if before.state != after.state:
            record(connection, repo, of_pull("closed" if state == "closed" else "reopened", after, by))

    try:
        await repo.db.transaction(update)
    except sqlite3.IntegrityError:
        raise already_exists(repo, pull.head_ref) from None
    await follow(repo, by)
    return await get(repo, pull.number)


async def of_node(store: Store, given: str) -> tuple[Repository, Pull]:
    """The pull request of GitHub's second id, with its repository; `NotFound`."""
    kind, key = node_key(given)
    row = None if kind != "PullRequest" else await store.db.one("SELECT * FROM pulls WHERE id = ?", key)
    if row is None:
        raise NotFound
    pull = Pull.of(row)
    return await store.get(pull.repository_id), pull


async def set_draft(repo: Repository, pull: Pull, draft: bool, by: str) -> Pull:
    """Makes it a draft, or ready for review; what it is already changes nothing."""

    def update(connection: sqlite3.Connection) -> None:
        row = connection.execute(
            "UPDATE pulls SET draft = ?, updated_at = ? WHERE id = ? AND draft != ? RETURNING *",
            (draft, now(), pull.id, draft),
        ).fetchone()
        if row is not None:
            action = "converted_to_draft" if draft else "ready_for_review"
            record(connection, repo, of_pull(action, Pull.of(row), by))

    await repo.db.transaction(update)
    return await get(repo, pull.number)


def differences(before: Pull, after: Pull) -> Json:
    """GitHub's `changes`: what was there before."""
    changes: Json = {}
    if before.title != after.title:
        changes["title"] = {"from": before.title}
    if before.body != after.body:
        changes["body"] = {"from": before.body or ""}
    if before.base_ref != after.base_ref:
        changes["base"] = {"ref": {"from": before.base_ref}, "sha": {"from": before.base_sha}}
    return changes
