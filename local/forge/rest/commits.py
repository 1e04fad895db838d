"""Commits."""

from fastapi import APIRouter

from local.forge.errors import NotFound
from local.forge.git import commits, refs
from local.forge.rest.dependencies import CurrentViewer, ReadableRepository
from local.forge.rest.pagination import Page
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}")


@router.get("/commits")
async def list_commits(
    found: ReadableRepository, site: CurrentViewer, page: Page, sha: str | None = None
) -> list[Json]:
    start = await refs.commit_of(found.git, sha or found.default_branch)
    if start is None:
        raise NotFound
    page.link(int(await found.git.text("rev-list", "--count", start)))
    listed = await commits.log(found, f"--max-count={page.limit}", f"--skip={page.offset}", start)
    return [commits.shape(site, found, commit) for commit in listed]


@router.get("/commits/{ref:path}")
async def one_commit(ref: str, found: ReadableRepository, site: CurrentViewer) -> Json:
    commit, files = await commits.read(found, ref)
    return commits.shape(site, found, commit, files)
