"""Check runs and check suites."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import AwareDatetime

from local.forge.errors import Invalid
from local.forge.git import commits
from local.forge.rest.body import Body
from local.forge.rest.dependencies import (
    CurrentLogin,
    CurrentViewer,
    PositiveId,
    ReadableRepository,
    WritableRepository,
)
from local.forge.rest.pagination import Page
from local.forge.store import check_runs, check_suites
from local.forge.store.check_runs import CheckRun, CheckRunColumns
from local.forge.store.database import now
from local.forge.store.repositories import Repository
from local.forge.viewer import Json
from local.forge.viewer import Viewer as SiteHere

router = APIRouter(prefix="/repos/{owner}/{repo}")


class Output(Body):
    title: str | None = None
    summary: str
    text: str | None = None


class EditCheckRun(Body):
    name: str | None = None
    details_url: str | None = None
    external_id: str | None = None
    status: Literal["queued", "in_progress", "completed"] | None = None
    conclusion: (
        Literal["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"]
        | None
    ) = None
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    output: Output | None = None

    def fields(self) -> CheckRunColumns:
        """The columns that were given; a conclusion completes the run, as on GitHub."""
        given: CheckRunColumns = {
            name: getattr(self, name) for name in ("name", "details_url", "external_id", "status")
        }
        given |= {"started_at": parse_time(self.started_at), "completed_at": parse_time(self.completed_at)}
        if self.conclusion or self.completed_at or self.status == "completed":
            if self.conclusion is None:
                raise Invalid.field("CheckRun", "conclusion", "missing_field")
            given |= {"status": "completed", "conclusion": self.conclusion}
            given["completed_at"] = given["completed_at"] or now()
        if self.output:
            given |= {f"output_{name}": text for name, text in self.output.model_dump().items()}
        return {name: value for name, value in given.items() if value is not None}


class CreateCheckRun(EditCheckRun):
    name: str
    head_sha: str


@router.post("/check-runs", status_code=201)
async def create_check_run(
    body: CreateCheckRun, found: WritableRepository, site: CurrentViewer, login: CurrentLogin
) -> Json:
    sha = await commits.resolve(found, body.head_sha)
    defaults: CheckRunColumns = {"status": "queued", "started_at": now(), "head_sha": sha}
    return await check_run_shape(site, found, await check_runs.add(found, defaults | body.fields(), login))


@router.get("/check-runs/{key}")
async def check_run(key: PositiveId, found: ReadableRepository, site: CurrentViewer) -> Json:
    return await check_run_shape(site, found, await check_runs.get(found, key))


@router.patch("/check-runs/{key}")
async def edit_check_run(
    key: PositiveId, body: EditCheckRun, found: WritableRepository, site: CurrentViewer, login: CurrentLogin
) -> Json:
    return await check_run_shape(site, found, await check_runs.edit(found, key, body.fields(), login))


@router.get("/commits/{ref:path}/check-runs")
async def check_runs_of_commit(
    ref: str,
    found: ReadableRepository,
    site: CurrentViewer,
    page: Page,
    check_name: str | None = None,
    status: str | None = None,
    filter: Literal["latest", "all"] = "latest",
) -> Json:
    sha = await commits.resolve(found, ref)
    runs = await check_runs.list_by_commit(found, sha)
    runs = check_runs.latest_by_name(runs) if filter == "latest" else runs
    wanted = [run for run in runs if check_name in {None, run.name} and status in {None, run.status}]
    pulls = await check_suites.pull_requests(site, found, sha)
    return {
        "total_count": len(wanted),
        "check_runs": [run.shape(site, found, pulls) for run in page.cut(wanted)],
    }


async def check_run_shape(site: SiteHere, repo: Repository, run: CheckRun) -> Json:
    """The run with its pull requests."""
    return run.shape(site, repo, await check_suites.pull_requests(site, repo, run.head_sha))


def parse_time(time: datetime | None) -> str | None:
    """A time as GitHub writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else None
