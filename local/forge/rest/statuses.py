"""Commit statuses."""

from typing import Literal

from fastapi import APIRouter

from local.forge.git.commits import resolve
from local.forge.rest.body import Body
from local.forge.rest.dependencies import CurrentLogin, CurrentViewer, ReadableRepository, WritableRepository
from local.forge.rest.pagination import Page
from local.forge.store import statuses
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}")


class CreateStatus(Body):
    state: Literal["error", "failure", "pending", "success"]
    target_url: str | None = None
    description: str | None = None
    context: str = "default"


@router.post("/statuses/{sha}", status_code=201)
async def create_status(
    sha: str, body: CreateStatus, found: WritableRepository, site: CurrentViewer, login: CurrentLogin
) -> Json:
    commit = await resolve(found, sha)
    new = statuses.NewStatus(body.state, body.context, body.description, body.target_url)
    return (await statuses.add(found, commit, new, login)).shape(site, found)


@router.get("/statuses/{ref:path}")
@router.get("/commits/{ref:path}/statuses")
async def statuses_of_commit(
    ref: str, found: ReadableRepository, site: CurrentViewer, page: Page
) -> list[Json]:
    reports = await statuses.list_by_commit(found, await resolve(found, ref))
    return [report.shape(site, found) for report in page.cut(reports)]


@router.get("/commits/{ref:path}/status")
async def combined_status(ref: str, found: ReadableRepository, site: CurrentViewer, page: Page) -> Json:
    sha = await resolve(found, ref)
    reports = statuses.latest_by_context(await statuses.list_by_commit(found, sha))
    commit = f"{site.repo_api(found)}/commits/{sha}"
    return {
        "sha": sha,
        "state": statuses.combined_state(reports),
        "total_count": len(reports),
        "statuses": [report.shape(site, found) for report in page.cut(reports)],
        "repository": site.repository(found),
        "commit_url": commit,
        "url": f"{commit}/status",
    }
