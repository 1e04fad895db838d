"""How open pull requests follow the branches they were made of."""

from local.forge import refs
from local.forge.database import now
from local.forge.pulls import Pull
from local.forge.repositories import Repository, touch


async def pushed(repo: Repository) -> None:
    """What moving references means for the rows."""
    await touch(repo)
    await follow(repo)


async def follow(repo: Repository) -> None:
    """Brings the open pull requests up to their branches; called after whatever moved one, and at start."""
    async with repo.lock:
        await catch_up(repo)


async def catch_up(repo: Repository) -> None:
    """The same for who holds the repository's lock.

    A new head is recorded and kept under refs/pull/N/head; a deleted branch closes; a base that contains the
    head, or the merge that was begun, means merged. Doing it twice changes nothing, so a crash costs nothing.
    """
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


async def begin_merge(repo: Repository, pull: Pull, commit: str, by: str) -> None:
    """Remembers the merge commit before the base moves to it; `follow` then tells that it was this one."""
    await repo.db.all(
        "UPDATE pulls SET merge_commit_sha = ?, merged_by = ? WHERE id = ?", commit, by, pull.id
    )


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
