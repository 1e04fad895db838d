"""How open pull requests follow the branches they were made of."""

import sqlite3
from dataclasses import asdict

from local.forge.git import refs
from local.forge.store.database import now
from local.forge.store.pull_requests import PullRequest
from local.forge.store.repositories import Repository, touch
from local.forge.webhooks.events import Event, record_event


async def sync_after_push(repo: Repository, by: str) -> None:
    """What it means for the rows that somebody moved references."""
    await touch(repo, await sync_pull_requests(repo, by))


async def sync_pull_requests(repo: Repository, by: str) -> dict[str, str]:
    """Brings the open pull requests up to their branches; called after whatever moved one, and at start."""
    async with repo.lock:
        return await sync_locked(repo, by)


async def sync_locked(repo: Repository, by: str) -> dict[str, str]:
    """The same for who holds the repository's lock; returns every reference's sha as it was found.

    What moved since the last time is a push for the hooks.

    A new head is recorded and kept under refs/pull/N/head; a deleted branch closes; a base that contains the
    head, or the merge that was begun, means merged. Doing it twice changes nothing, so a crash costs nothing.
    """
    read = await refs.list_refs(repo.git, "refs/heads", "refs/tags", "refs/pull")
    tips = {ref.name: ref.sha for ref in read}
    await record_push_events(repo, tips, by)
    rows = await repo.db.all("SELECT * FROM pulls WHERE repository_id = ? AND state = 'open'", repo.id)
    latest = {
        pull: tips.get(f"refs/heads/{pull.head_ref}", pull.head_sha) for pull in map(PullRequest.of, rows)
    }
    mirrors = {f"refs/pull/{pull.number}/head": sha for pull, sha in latest.items()}
    await refs.set_all(repo.git, ((name, sha) for name, sha in mirrors.items() if tips.get(name) != sha))
    for pull, sha in latest.items():
        head, base = tips.get(f"refs/heads/{pull.head_ref}"), tips.get(f"refs/heads/{pull.base_ref}")
        if (
            base is not None
            and base != pull.base_sha
            and (merge := await find_merge_commit(repo, pull, sha, base))
        ):
            await close_pull_request(repo, pull, sha, merge, by)
        elif head is None or base is None:
            await close_pull_request(repo, pull, sha, None, by)
        elif (head, base) != (pull.head_sha, pull.base_sha):
            await update_tips(repo, pull, head, base, by)
    return tips


async def find_merge_commit(repo: Repository, pull: PullRequest, head: str, base: str) -> str | None:
    """The commit that merged it into the base, if one did."""
    begun = pull.merge_commit_sha
    if begun and await refs.is_ancestor(repo.git, begun, base):
        return begun
    return base if await refs.is_ancestor(repo.git, head, base) else None


async def record_merge_started(repo: Repository, pull: PullRequest, commit: str, by: str) -> None:
    """Remembers the merge commit before the base moves to it, so that `sync_locked` knows that one."""
    await repo.db.all(
        "UPDATE pulls SET merge_commit_sha = ?, merged_by = ? WHERE id = ?", commit, by, pull.id
    )


async def close_pull_request(
    repo: Repository, pull: PullRequest, head: str, merge_commit: str | None, by: str
) -> None:
    """Closed, and merged when there is a merge commit."""

    def update(connection: sqlite3.Connection) -> None:
        time = now()
        row = connection.execute(
            "UPDATE pulls SET state = 'closed', head_sha = ?, closed_at = ?, updated_at = ?, merged_at = ?,"
            " merge_commit_sha = ? WHERE id = ? RETURNING *",
            (head, time, time, time if merge_commit else None, merge_commit, pull.id),
        ).fetchone()
        record_event(connection, repo, pull_request_event("closed", PullRequest.of(row), by))

    await repo.db.transaction(update)


async def update_tips(repo: Repository, pull: PullRequest, head: str, base: str, by: str) -> None:
    """New tips; only a new head counts as an update of the pull request."""

    def update(connection: sqlite3.Connection) -> None:
        time = now() if head != pull.head_sha else pull.updated_at
        row = connection.execute(
            "UPDATE pulls SET head_sha = ?, base_sha = ?, updated_at = ? WHERE id = ? RETURNING *",
            (head, base, time, pull.id),
        ).fetchone()
        if head != pull.head_sha:
            event = pull_request_event(
                "synchronize", PullRequest.of(row), by, before=pull.head_sha, after=head
            )
            record_event(connection, repo, event)

    await repo.db.transaction(update)


def pull_request_event(action: str, pull: PullRequest, by: str, **more: object) -> Event:
    """What happened to a pull request; `more` goes into the payload beside it."""
    return Event("pull_request", action, by, {"pull": asdict(pull), **more})


async def record_push_events(repo: Repository, tips: dict[str, str], by: str) -> None:
    """A push event for each branch and tag that is not where it was last known to be.

    The first time, in a repository older than its `tips`, they are only learnt.
    """
    there = {name: sha for name, sha in tips.items() if not name.startswith("refs/pull/")}

    def compare(connection: sqlite3.Connection) -> None:
        known = dict(
            connection.execute("SELECT name, sha FROM tips WHERE repository_id = ?", (repo.id,)).fetchall()
        )
        (silent,) = connection.execute(
            "SELECT NOT tips_known FROM repositories WHERE id = ?", (repo.id,)
        ).fetchone()
        for name in sorted(known.keys() | there.keys()):
            before, after = known.get(name, refs.ZERO_SHA), there.get(name, refs.ZERO_SHA)
            if before == after:
                continue
            if not silent:
                facts = {"ref": name, "before": before, "after": after}
                record_event(connection, repo, Event("push", None, by, facts))
            connection.execute("REPLACE INTO tips VALUES (?, ?, ?)", (repo.id, name, after))
        connection.execute("DELETE FROM tips WHERE repository_id = ? AND sha = ?", (repo.id, refs.ZERO_SHA))
        connection.execute("UPDATE repositories SET tips_known = 1 WHERE id = ?", (repo.id,))

    await repo.db.transaction(compare)
