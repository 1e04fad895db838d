"""The protection of a branch."""

from fastapi import APIRouter

from local.forge.errors import NotFound
from local.forge.git import refs
from local.forge.rest.body import Body
from local.forge.rest.dependencies import CurrentViewer, WritableRepository
from local.forge.store import branch_protections
from local.forge.store.branch_protections import Rules
from local.forge.store.repositories import Repository
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/branches")


class PutProtection(Rules, Body):
    """The rules themselves."""


@router.get("/{name:path}/protection")
async def protection(name: str, found: WritableRepository, site: CurrentViewer) -> Json:
    await require_branch(found, name)
    return (await branch_protections.get(found, name)).shape(site, found)


@router.put("/{name:path}/protection")
async def put_protection(
    name: str, body: PutProtection, found: WritableRepository, site: CurrentViewer
) -> Json:
    await require_branch(found, name)
    return (await branch_protections.put(found, name, body)).shape(site, found)


@router.delete("/{name:path}/protection", status_code=204)
async def delete_protection(name: str, found: WritableRepository) -> None:
    await require_branch(found, name)
    await branch_protections.remove(found, name)


async def require_branch(repo: Repository, branch: str) -> None:
    """Rules are made and read for branches that are there."""
    (tip,) = await refs.branch_tips(repo.git, branch)
    if tip is None:
        raise NotFound("Branch not found")
