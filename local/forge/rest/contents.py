"""Files and directories."""

import binascii
from base64 import b64decode

from fastapi import APIRouter, Response

from local.forge.errors import HeadModified, Invalid, NotFound
from local.forge.git import contents, refs
from local.forge.git.fast_import import commit_files
from local.forge.rest.body import Body
from local.forge.rest.dependencies import CurrentLogin, CurrentViewer, ReadableRepository, WritableRepository
from local.forge.store.pull_request_sync import sync_after_push
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/contents")


class PutFile(Body):
    message: str
    content: str
    branch: str | None = None
    sha: str | None = None


@router.put("/{path:path}")
async def put_file(
    path: str,
    body: PutFile,
    found: WritableRepository,
    site: CurrentViewer,
    login: CurrentLogin,
    response: Response,
) -> Json:
    """Commits one file; one that is there already is only replaced by whoever names its blob."""
    branch = body.branch or found.default_branch
    [tip] = await refs.branch_tips(found.git, branch)
    if tip is None:
        raise NotFound(f"Branch {branch} not found")
    try:
        data = b64decode(body.content, validate=True)
    except binascii.Error:
        raise Invalid("content is not valid Base64") from None
    before = next((each for each in await contents.entries(found.git, tip, "--", path)), None)
    if (before.sha if before else None) != body.sha:
        raise HeadModified(f"{path} does not match {body.sha}")
    await commit_files(found.git, branch, {path: data}, body.message, author=login, parent=tip)
    await sync_after_push(found, login)
    response.status_code = 200 if before else 201
    [tip] = await refs.branch_tips(found.git, branch)
    entry = await contents.find(found.git, str(tip), path)
    return {"content": entry.shape(site, found, branch), "commit": {"sha": tip}}


@router.get("")
@router.get("/{path:path}")
async def file_or_directory(
    found: ReadableRepository, site: CurrentViewer, path: str = "", ref: str | None = None
) -> Json | list[Json]:
    name = ref or found.default_branch
    commit, path = await refs.commit_of(found.git, name), path.strip("/")
    if commit is None:
        raise NotFound(f"No commit found for the ref {name}")
    entry = await contents.find(found.git, commit, path) if path else None
    if entry is None or entry.kind == "tree":
        listed = await contents.children(found.git, entry.sha if entry else commit, path)
        return [child.shape(site, found, name) for child in listed]
    return await contents.add_content(found.git, entry, entry.shape(site, found, name))
