"""References as GraphQL shows them: page by page, each with the commit it points at."""

import base64
import binascii
from dataclasses import dataclass

from local.forge.git import commits
from local.forge.git.commits import Commit, Signature
from local.forge.git.refs import Ref, find
from local.forge.git.refs import list_refs as all_refs
from local.forge.store import branch_protections
from local.forge.store.branch_protections import Protection
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, node_id


@dataclass(frozen=True)
class RefPage:
    """A page: at most `first` references below `prefix` whose name contains `query`, from behind `place`."""

    prefix: str
    query: str
    first: int
    place: str


async def list_refs_page(repo: Repository, wanted: RefPage) -> Json:
    """GitHub's RefConnection.

    The cursor is a name, so that a page is right whatever was made or deleted since the one before.
    """
    below = await all_refs(repo.git, wanted.prefix)
    matching = [ref for ref in below if wanted.query in ref.name.removeprefix(wanted.prefix)]
    left = [ref for ref in matching if ref.name > wanted.place]
    shown = left[: wanted.first]
    nodes = await shapes(repo, shown, wanted.prefix)
    return {
        "totalCount": len(matching),
        "pageInfo": {
            "hasNextPage": len(left) > len(shown),
            "hasPreviousPage": len(left) < len(matching),
            "startCursor": encode_cursor(shown[0]) if shown else None,
            "endCursor": encode_cursor(shown[-1]) if shown else None,
        },
        "edges": [
            {"cursor": encode_cursor(ref), "node": node} for ref, node in zip(shown, nodes, strict=True)
        ],
        "nodes": nodes,
    }


async def find_ref(repo: Repository, name: str) -> Json | None:
    """The reference of exactly this full name, None if there is none."""
    ref = await find(repo.git, name)
    if ref is None:
        return None
    prefix = "/".join(name.split("/")[:2]) + "/"
    return (await shapes(repo, [ref], prefix))[0]


async def shapes(repo: Repository, refs: list[Ref], prefix: str) -> list[Json]:
    """GitHub's Ref of each; the commits are read by one git."""
    shas = {ref.sha for ref in refs if ref.kind == "commit"}
    read = await commits.log(repo, "--no-walk=unsorted", *shas) if shas else []
    guarded = await branch_protections.of_repository(repo.db, repo.id)
    tips = {commit.sha: commit_shape(repo, commit) for commit in read}
    return [
        {
            "id": node_id("Ref", f"{repo.id}:{ref.name}"),
            "name": ref.name.removeprefix(prefix),
            "prefix": prefix,
            "target": tips.get(ref.sha) or tag_shape(repo, ref),
            "branchProtectionRule": protection_shape(guarded.get(ref.name.removeprefix("refs/heads/"))),
        }
        for ref in refs
    ]


def protection_shape(protection: Protection | None) -> Json | None:
    """GitHub's BranchProtectionRule."""
    if protection is None:
        return None
    return {"id": node_id("BranchProtectionRule", protection.id), "pattern": protection.branch}


def commit_shape(repo: Repository, commit: Commit) -> Json:
    """GitHub's Commit."""
    return {
        "__typename": "Commit",
        "id": node_id("Commit", f"{repo.id}:{commit.sha}"),
        "oid": commit.sha,
        "authoredDate": commits.to_utc(commit.author.date),
        "committedDate": commits.to_utc(commit.committer.date),
        "messageHeadline": commit.subject,
        "message": commit.message,
        "author": actor(commit.author),
        "committer": actor(commit.committer),
    }


def tag_shape(repo: Repository, ref: Ref) -> Json:
    """GitHub's Tag: an annotated one."""
    return {"__typename": "Tag", "id": node_id("Tag", f"{repo.id}:{ref.sha}"), "oid": ref.sha}


def actor(who: Signature) -> Json:
    """GitHub's GitActor; the user only of an address that the forge gave out itself."""
    login = commits.login_of(who)
    user = {"login": login} if login else None
    return {"name": who.name, "email": who.email, "date": who.date, "user": user}


def encode_cursor(ref: Ref) -> str:
    """Where a reference stands in the order of names."""
    return base64.b64encode(ref.name.encode()).decode()


def after(cursor: str) -> str | None:
    """The name in a cursor; None for what is none."""
    try:
        return base64.b64decode(cursor, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
