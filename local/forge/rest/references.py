"""git references."""

from fastapi import APIRouter, Response

from local.forge.errors import Invalid, NotFound
from local.forge.git import push_rules, refs
from local.forge.git.refs import Ref
from local.forge.rest.body import Body
from local.forge.rest.dependencies import CurrentLogin, CurrentViewer, ReadableRepository, WritableRepository
from local.forge.rest.pagination import Page
from local.forge.store.pull_request_sync import sync_after_push
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, node_id, quote_path

router = APIRouter(prefix="/repos/{owner}/{repo}/git")


class CreateRef(Body):
    ref: str
    sha: str


class UpdateRef(Body):
    sha: str
    force: bool = False


@router.get("/refs")
async def all_references(found: ReadableRepository, site: CurrentViewer, page: Page) -> list[Json]:
    return [shape(site, found, ref) for ref in page.cut(await refs.list_refs(found.git))]


@router.get("/matching-refs/{prefix:path}")
async def matching_references(
    prefix: str, found: ReadableRepository, site: CurrentViewer, page: Page
) -> list[Json]:
    below = [ref for ref in await refs.list_refs(found.git) if ref.name.startswith(f"refs/{prefix}")]
    return [shape(site, found, ref) for ref in page.cut(below)]


@router.get("/ref/{name:path}")
async def reference(name: str, found: ReadableRepository, site: CurrentViewer) -> Json:
    ref = await refs.find(found.git, f"refs/{name}")
    if ref is None:
        raise NotFound
    return shape(site, found, ref)


@router.post("/refs", status_code=201)
async def create_reference(
    body: CreateRef, found: WritableRepository, site: CurrentViewer, login: CurrentLogin, response: Response
) -> Json:
    whole = shape(site, found, await refs.create(found.git, body.ref, body.sha))
    await sync_after_push(found, login)
    response.headers["Location"] = str(whole["url"])
    return whole


@router.patch("/refs/{name:path}")
async def update_reference(
    name: str, body: UpdateRef, found: WritableRepository, site: CurrentViewer, login: CurrentLogin
) -> Json:
    ref = await require_reference(found, name)
    await push_rules.require_update_allowed(found, ref, body.sha, login, force=body.force)
    ref = await refs.update(found.git, ref, body.sha, force=body.force)
    await sync_after_push(found, login)
    return shape(site, found, ref)


@router.delete("/refs/{name:path}", status_code=204)
async def delete_reference(name: str, found: WritableRepository, login: CurrentLogin) -> None:
    ref = await require_reference(found, name)
    await push_rules.require_deletion_allowed(found, ref, login)
    await refs.delete(found.git, ref, found.default_branch)
    await sync_after_push(found, login)


async def require_reference(repo: Repository, name: str) -> Ref:
    """The reference to change; those of pull requests belong to the forge."""
    ref = await refs.find(repo.git, f"refs/{name}")
    if ref is None or name.startswith("pull/"):
        raise Invalid("Reference does not exist")
    return ref


def shape(site: CurrentViewer, repo: Repository, ref: Ref) -> Json:
    """GitHub's git reference."""
    api = f"{site.repo_api(repo)}/git"
    return {
        "ref": ref.name,
        "node_id": node_id("Ref", f"{repo.id}:{ref.name}"),
        "url": f"{api}/{quote_path(ref.name)}",
        "object": {"type": ref.kind, "sha": ref.sha, "url": f"{api}/{ref.kind}s/{ref.sha}"},
    }
