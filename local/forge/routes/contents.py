"""Files and directories."""

from fastapi import APIRouter

from local.forge import contents, refs
from local.forge.dependencies import Readable, Site
from local.forge.errors import NotFound
from local.forge.site import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/contents")


@router.get("")
@router.get("/{path:path}")
async def file_or_directory(
    found: Readable, site: Site, path: str = "", ref: str | None = None
) -> Json | list[Json]:
    name = ref or found.default_branch
    commit, path = await refs.commit_of(found.git, name), path.strip("/")
    if commit is None:
        raise NotFound(f"No commit found for the ref {name}")
    entry = await contents.find(found.git, commit, path) if path else None
    if entry is None or entry.kind == "tree":
        listed = await contents.children(found.git, entry.sha if entry else commit, path)
        return [child.shape(site, found, name) for child in listed]
    return await contents.with_content(found.git, entry, entry.shape(site, found, name))
