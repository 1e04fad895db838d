"""Check suites: what the latest runs of a commit say together."""

from fastapi import APIRouter

from local.forge.errors import NotFound
from local.forge.git import commits
from local.forge.rest.dependencies import CurrentViewer, PositiveId, ReadableRepository
from local.forge.rest.pagination import Page
from local.forge.store import check_runs, check_suites
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}")


@router.get("/commits/{ref:path}/check-suites")
async def check_suites_of_commit(ref: str, found: ReadableRepository, site: CurrentViewer) -> Json:
    runs = check_runs.latest_by_name(
        await check_runs.list_by_commit(found, await commits.resolve(found, ref))
    )
    suites = [await check_suites.shape(site, found, runs)] if runs else []
    return {"total_count": len(suites), "check_suites": suites}


@router.get("/check-suites/{key}")
async def check_suite(key: PositiveId, found: ReadableRepository, site: CurrentViewer) -> Json:
    runs = check_runs.latest_by_name(await check_runs.list_by_suite(found, key))
    if not runs:
        raise NotFound
    return await check_suites.shape(site, found, runs)


@router.get("/check-suites/{key}/check-runs")
async def check_runs_of_suite(
    key: PositiveId, found: ReadableRepository, site: CurrentViewer, page: Page
) -> Json:
    runs = check_runs.latest_by_name(await check_runs.list_by_suite(found, key))
    pulls = await check_suites.pull_requests(site, found, runs[0].head_sha) if runs else []
    return {"total_count": len(runs), "check_runs": [run.shape(site, found, pulls) for run in page.cut(runs)]}
