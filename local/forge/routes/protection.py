"""The protection of a branch."""

from fastapi import APIRouter

from local.forge import protections, refs
from local.forge.dependencies import Site, Writable
from local.forge.errors import NotFound
from local.forge.protections import Rules
from local.forge.repositories import Repository
from local.forge.routes.body import Body
from local.forge.site import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/branches")


class PutProtection(Rules, Body):
    """The rules themselves."""


@router.get("/{name:path}/protection")
async def protection(name: str, found: Writable, site: Site) -> Json:
    await must_exist(found, name)
    return (await protections.get(found, name)).shape(site, found)


@router.put("/{name:path}/protection")
async def put_protection(name: str, body: PutProtection, found: Writable, site: Site) -> Json:
    await must_exist(found, name)
    return (await protections.put(found, name, body)).shape(site, found)


@router.delete("/{name:path}/protection", status_code=204)
async def delete_protection(name: str, found: Writable) -> None:
    await must_exist(found, name)
    await protections.remove(found, name)


async def must_exist(repo: Repository, branch: str) -> None:
    """Rules are made and read for branches that are there."""
    (tip,) = await refs.branch_tips(repo.git, branch)
    if tip is None:
        raise NotFound("Branch not found")
