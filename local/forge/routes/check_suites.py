"""Check suites: what the latest runs of a commit say together."""

from fastapi import APIRouter

from local.forge import check_runs, commits
from local.forge.check_runs import APP, CheckRun
from local.forge.dependencies import Number, Readable, Site
from local.forge.errors import NotFound
from local.forge.paging import Page
from local.forge.repositories import Repository
from local.forge.site import Json, node_id
from local.forge.site import Site as SiteHere

router = APIRouter(prefix="/repos/{owner}/{repo}")


@router.get("/commits/{ref:path}/check-suites")
async def check_suites_of_commit(ref: str, found: Readable, site: Site) -> Json:
    runs = check_runs.latest(await check_runs.of_commit(found, await commits.resolve(found, ref)))
    suites = [await suite(site, found, runs)] if runs else []
    return {"total_count": len(suites), "check_suites": suites}


@router.get("/check-suites/{key}")
async def check_suite(key: Number, found: Readable, site: Site) -> Json:
    runs = check_runs.latest(await check_runs.of_suite(found, key))
    if not runs:
        raise NotFound
    return await suite(site, found, runs)


@router.get("/check-suites/{key}/check-runs")
async def check_runs_of_suite(key: Number, found: Readable, site: Site, page: Page) -> Json:
    runs = check_runs.latest(await check_runs.of_suite(found, key))
    return {"total_count": len(runs), "check_runs": [run.shape(site, found) for run in page.cut(runs)]}


async def suite(site: SiteHere, repo: Repository, runs: list[CheckRun]) -> Json:
    """GitHub's check suite, made of the latest runs of one commit."""
    sha, key, api = runs[0].head_sha, runs[0].suite_id, site.repo_api(repo)
    status, conclusion = check_runs.state_of_suite(runs)
    (head,) = await commits.log(repo, "-1", sha)
    times = sorted(time for run in runs for time in (run.started_at, run.completed_at) if time)
    return {
        "id": key,
        "node_id": node_id("CheckSuite", key),
        "head_branch": None,
        "head_sha": sha,
        "before": head.parents[0] if head.parents else None,
        "after": sha,
        "status": status,
        "conclusion": conclusion,
        "url": f"{api}/check-suites/{key}",
        "check_runs_url": f"{api}/check-suites/{key}/check-runs",
        "latest_check_runs_count": len(runs),
        "pull_requests": [],
        "app": APP,
        "repository": site.repository(repo),
        "head_commit": commits.head_commit(head),
        "created_at": times[0],
        "updated_at": times[-1],
    }
