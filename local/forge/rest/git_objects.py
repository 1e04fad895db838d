"""git's own objects by their sha: commits, trees, blobs."""

import base64

from fastapi import APIRouter

from local.forge.errors import NotFound
from local.forge.git import commits, contents, refs
from local.forge.rest.dependencies import CurrentViewer, ReadableRepository
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, node_id

router = APIRouter(prefix="/repos/{owner}/{repo}/git")


@router.get("/commits/{sha}")
async def git_commit(sha: str, found: ReadableRepository, site: CurrentViewer) -> Json:
    (commit,) = await commits.log(found, "-1", await require_object(found, sha, "commit"))
    whole = commits.shape(site, found, commit)
    own = {name: whole[name] for name in ("sha", "node_id", "html_url", "parents")}
    return commits.git_shape(site, found, commit) | own


@router.get("/trees/{sha:path}")
async def git_tree(
    sha: str, found: ReadableRepository, site: CurrentViewer, recursive: str | None = None
) -> Json:
    tree = await require_object(found, sha, "tree")
    api = f"{site.repo_api(found)}/git"
    entries = await contents.entries(found.git, *(["-r", "-t"] if recursive is not None else []), tree)
    return {
        "sha": tree,
        "url": f"{api}/trees/{tree}",
        "truncated": False,
        "tree": [
            {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
            | ({"url": f"{api}/{entry.kind}s/{entry.sha}"} if entry.kind != "commit" else {})
            | ({"size": entry.size} if entry.kind == "blob" else {})
            for entry in entries
        ],
    }


@router.get("/blobs/{sha}")
async def git_blob(sha: str, found: ReadableRepository, site: CurrentViewer) -> Json:
    blob = await require_object(found, sha, "blob")
    content = (await found.git.run("cat-file", "blob", blob)).out
    return {
        "sha": blob,
        "node_id": node_id("Blob", blob),
        "url": f"{site.repo_api(found)}/git/blobs/{blob}",
        "size": len(content),
        "encoding": "base64",
        "content": base64.encodebytes(content).decode(),
    }


async def require_object(repo: Repository, name: str, kind: str) -> str:
    """The sha of an object of this kind; a tree is also found by a commit, a branch or a tag."""
    whole = refs.SHA.fullmatch(name)
    commit = await refs.commit_of(repo.git, name) if kind == "tree" else None
    if not whole and commit is None:
        raise NotFound
    ((sha, found),) = await refs.resolve_objects(
        repo.git, commit or name, peel="^{tree}" if kind == "tree" else ""
    )
    if sha is None or found != kind:
        raise NotFound
    return sha
