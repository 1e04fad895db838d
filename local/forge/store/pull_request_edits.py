"""Opening and editing pull requests: what GitHub allows, in its words when it does not."""

import sqlite3
from dataclasses import dataclass

from local.forge.errors import Invalid, NotFound
from local.forge.git import refs
from local.forge.store.database import now
from local.forge.store.pull_request_sync import pull_request_event, sync_pull_requests
from local.forge.store.pull_requests import NewPullRequest, PullRequest, get
from local.forge.store.repositories import Repository, Store
from local.forge.viewer import Json, parse_node_id
from local.forge.webhooks.events import record_event


async def open_pull_request(repo: Repository, new: NewPullRequest, author: str) -> PullRequest:
    """Opens a pull request under the repository's next number; `Invalid` in GitHub's words."""
    head, base = await refs.branch_tips(repo.git, new.head, new.base)
    if head is None or base is None:
        raise Invalid.field("PullRequest", "head" if head is None else "base")
    await require_commits_between(repo, new, base, head)

    def insert(connection: sqlite3.Connection) -> PullRequest:
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
        record_event(connection, repo, pull_request_event("opened", PullRequest.of(row), author))
        return PullRequest.of(row)

    try:
        pull = await repo.db.transaction(insert)
    except sqlite3.IntegrityError:
        raise already_exists(repo, new.head) from None
    await sync_pull_requests(repo, author)  # keeps refs/pull/N/head, and sees a push that came between
    return await get(repo, pull.number)


async def require_commits_between(repo: Repository, new: NewPullRequest, base: str, head: str) -> None:
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
class PullRequestEdit:
    """What is to be changed; None leaves it as it is."""

    title: str | None
    body: str | None
    state: str | None
    base: str | None


async def update_pull_request(
    repo: Repository, pull: PullRequest, wish: PullRequestEdit, by: str
) -> PullRequest:
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
        before = PullRequest.of(row)
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
        after = PullRequest.of(row)
        if changes := changed_fields(before, after):
            record_event(connection, repo, pull_request_event("edited", after, by, changes=changes))
        if before.state != after.state:
            record_event(
                connection, repo, pull_request_event("closed" if state == "closed" else "reopened", after, by)
            )

    try:
        await repo.db.transaction(update)
    except sqlite3.IntegrityError:
        raise already_exists(repo, pull.head_ref) from None
    await sync_pull_requests(repo, by)
    return await get(repo, pull.number)


async def get_by_node_id(store: Store, given: str) -> tuple[Repository, PullRequest]:
    """The pull request of GitHub's second id, with its repository; `NotFound`."""
    kind, key = parse_node_id(given)
    row = None if kind != "PullRequest" else await store.db.one("SELECT * FROM pulls WHERE id = ?", key)
    if row is None:
        raise NotFound
    pull = PullRequest.of(row)
    return await store.get(pull.repository_id), pull


async def set_draft(repo: Repository, pull: PullRequest, draft: bool, by: str) -> PullRequest:
    """Makes it a draft, or ready for review; what it is already changes nothing."""

    def update(connection: sqlite3.Connection) -> None:
        row = connection.execute(
            "UPDATE pulls SET draft = ?, updated_at = ? WHERE id = ? AND draft != ? RETURNING *",
            (draft, now(), pull.id, draft),
        ).fetchone()
        if row is not None:
            action = "converted_to_draft" if draft else "ready_for_review"
            record_event(connection, repo, pull_request_event(action, PullRequest.of(row), by))

    await repo.db.transaction(update)
    return await get(repo, pull.number)


def changed_fields(before: PullRequest, after: PullRequest) -> Json:
    """GitHub's `changes`: what was there before."""
    changes: Json = {}
    if before.title != after.title:
        changes["title"] = {"from": before.title}
    if before.body != after.body:
        changes["body"] = {"from": before.body or ""}
    if before.base_ref != after.base_ref:
        changes["base"] = {"ref": {"from": before.base_ref}, "sha": {"from": before.base_sha}}
    return changes
