"""Whether two branches merge, and merging them: all in the object database, without a work tree."""

from dataclasses import dataclass
from math import inf

from kit.ttl_cache import TTLCache
from local.forge.errors import HeadModified, NotMergeable
from local.forge.git import commits, refs
from local.forge.git.commits import NO_REPLY, Commit
from local.forge.git.process import Git
from local.forge.store import (
    merge_requirements,
    pull_request_sync,
    pull_requests,
)
from local.forge.store.pull_requests import PullRequest
from local.forge.store.repositories import Repository, touch

_merge_tree_cache: TTLCache[tuple[str, str], str | None] = TTLCache(seconds=inf, most=10_000)
"""Merged trees by the two commits, for good: two shas always merge alike."""


@dataclass(frozen=True)
class MergeRequest:
    """How the caller wants it: method `merge`, `squash` or `rebase`; `sha` is the head they saw."""

    method: str
    sha: str | None
    title: str | None
    message: str | None
    by: str


async def merged_tree(git: Git, ours: str, theirs: str) -> str | None:
    """The tree of a clean merge of two commits, None when they conflict or have no common history."""

    async def merge_trees() -> str | None:
        result = await git.run("merge-tree", "--write-tree", "--no-messages", ours, theirs, codes=(0, 1, 128))
        return result.text if result.code == 0 else None

    return await _merge_tree_cache.get((ours, theirs), merge_trees)


async def is_mergeable(repo: Repository, pull: PullRequest) -> bool | None:
    """Whether it merges without conflicts; None once it is closed, as on GitHub."""
    if pull.state != "open":
        return None
    return await merged_tree(repo.git, pull.base_sha, pull.head_sha) is not None


async def merge(repo: Repository, number: int, how: MergeRequest) -> str:
    """Merges and returns the new tip's sha; 405 when it cannot be merged, 409 when the head has moved."""
    async with repo.lock:
        await pull_request_sync.sync_locked(repo, how.by)
        pull = await pull_requests.get(repo, number)
        require_mergeable_state(pull, how.sha)
        if not await is_mergeable(repo, pull):
            raise NotMergeable
        if reason := await merge_requirements.unmet_requirement(repo, pull, how.by, how.method):
            raise NotMergeable(reason)
        tip = await make_merge_commit(repo, pull, how)
        if tip is None:
            raise NotMergeable
        await pull_request_sync.record_merge_started(repo, pull, tip, how.by)
        if not await refs.compare_and_set(repo.git, f"refs/heads/{pull.base_ref}", tip, pull.base_sha):
            raise NotMergeable("Base branch was modified. Review and try the merge again.")
        tips = await pull_request_sync.sync_locked(repo, how.by)
    await touch(repo, tips)
    return tip


def require_mergeable_state(pull: PullRequest, seen: str | None) -> None:
    """Refuses what is closed, a draft, or not at the head the caller saw."""
    if pull.state != "open":
        raise NotMergeable
    if pull.draft:
        raise NotMergeable("Pull Request is still a draft")
    if seen is not None and seen != pull.head_sha:
        raise HeadModified("Head branch was modified. Review and try the merge again.")


async def make_merge_commit(repo: Repository, pull: PullRequest, how: MergeRequest) -> str | None:
    """The commit the base would move to; nothing refers to it yet. None on conflict."""
    changes = await commits.log(repo, "--reverse", "--topo-order", f"{pull.base_sha}..{pull.head_sha}")
    if how.method == "rebase":
        return await rebase_commits(repo.git, pull, changes, how.by)
    tree = await merged_tree(repo.git, pull.base_sha, pull.head_sha)
    if tree is None:
        return None
    squash = how.method == "squash"
    title, body = squash_message(pull, changes) if squash else merge_message(repo, pull)
    words = (how.title or title, body if how.message is None else how.message)
    message = "\n\n".join(filter(None, words))
    parents = [pull.base_sha] if squash else [pull.base_sha, pull.head_sha]
    return await commit(repo.git, tree, parents, message, identity(how.by))


async def rebase_commits(git: Git, pull: PullRequest, changes: list[Commit], by: str) -> str | None:
    """The commits one after the other on the base; each is merged with what stands so far.

    git 2.39's merge-tree takes no merge base, so what stands so far is presented as a child of the commit's
    own parent: then that parent is the merge base, and the merge is a cherry-pick.
    """
    if any(len(change.parents) != 1 for change in changes):
        return None
    tip = pull.base_sha
    for change in changes:
        who = identity(by) | author(change)
        standing = await commit(git, f"{tip}^{{tree}}", change.parents, "", who)
        tree = await merged_tree(git, standing, change.sha)
        if tree is None:
            return None
        tip = await commit(git, tree, [tip], change.message, who)
    return tip


async def commit(git: Git, tree: str, parents: list[str], message: str, who: dict[str, str]) -> str:
    """Writes a commit object and returns its sha."""
    arguments = [word for parent in parents for word in ("-p", parent)]
    return await git.text("commit-tree", tree, *arguments, stdin=message.encode(), extra=who)


def merge_message(repo: Repository, pull: PullRequest) -> tuple[str, str]:
    """Title and body of a merge commit as GitHub words them."""
    return f"Merge pull request #{pull.number} from {repo.owner}/{pull.head_ref}", pull.title


def squash_message(pull: PullRequest, changes: list[Commit]) -> tuple[str, str]:
    """One commit keeps its own words; several are listed below the pull request's title."""
    if len(changes) == 1:
        subject, _, body = changes[0].message.partition("\n")
        return f"{subject} (#{pull.number})", body.strip()
    return f"{pull.title} (#{pull.number})", "\n\n".join(f"* {change.message}" for change in changes)


def identity(login: str) -> dict[str, str]:
    """The forge's user as author and committer."""
    who = {"NAME": login, "EMAIL": f"{login}@{NO_REPLY}"}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


def author(change: Commit) -> dict[str, str]:
    """A commit's own author."""
    who = change.author
    return {"GIT_AUTHOR_NAME": who.name, "GIT_AUTHOR_EMAIL": who.email, "GIT_AUTHOR_DATE": who.date}
