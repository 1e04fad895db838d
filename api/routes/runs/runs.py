"""Runs: started, listed and looked at."""

from typing import Annotated

from fastapi import Query, Request
from pydantic import AliasChoices, Field

from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.auth import requires
from api.github.repository_fields import parse_repository_field, require_branch_name
from api.http.filters import Instant, Search, SearchQuery, one_or_several
from api.http.pagination import MAX_INTEGER
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.runs.long_poll import WaitSeconds, wait_for_end
from api.runs.uploads import check_stored
from api.state import UnitOfWork, unit_of_work_of
from kit.errors import Invalid, NotFound
from kit.ids import is_id
from kit.schemas import Wire
from models.blueprints.blueprint import Blueprint
from models.blueprints.blueprint_schemas import WORKFLOWS, WorkflowRead
from models.chains.sprint_chain_schemas import SPRINT_CHAINS
from models.chains.work_chain_schemas import WORK_CHAINS
from models.projects.project import Project
from models.runs.run import PrStatus, Run, RunSource, RunStatus
from models.runs.run_schemas import (
    RUN_DETAILS,
    RUN_TIMELINE,
    RUNS,
    RunDetail,
    RunRead,
    RunRename,
    RunStartBody,
)
from models.runs.run_start import create_run

router = Router("/runs", "Runs")
READ, WRITE = requires("runs:read"), requires("runs:write")
Runs = Annotated[ProjectRows[Run, RunRead], project_rows(RUNS)]
Blueprints = Annotated[ProjectRows[Blueprint, WorkflowRead], project_rows(WORKFLOWS)]
RunDetails = Annotated[ProjectRows[Run, RunDetail], project_rows(RUN_DETAILS)]


class RunFilters(SearchQuery):
    """Runs that fit every filter that is given."""

    status: Annotated[list[RunStatus] | None, one_or_several(RunStatus)] = None
    """Runs with this status; given several times, or with commas: with any of them."""
    source: Annotated[list[RunSource] | None, one_or_several(RunSource)] = None
    """Runs that were started by this; given several times, or with commas: by any of them."""
    pr_status: Annotated[list[PrStatus] | None, one_or_several(PrStatus)] = None
    """Runs whose pull request has this status; given several times, or with commas: any of them."""
    recurring_task_id: str | None = None
    """Runs that this recurring task started."""
    created_after: Instant | None = None
    """Runs that were created at this moment or later, for example `2026-01-15T10:00:00Z`."""
    created_before: Instant | None = None
    """Runs that were created before this moment."""
    search: Search | None = None
    """Runs whose name contains this, in upper or lower case."""

    def filters(self) -> dict[str, object]:
        given = super().filters()
        for name in ("status", "source", "pr_status"):
            match given.get(name):
                case [single]:  # found in its index, in order
                    given[name] = single
        return given

    async def page(self, runs: ProjectRows[Run, RunRead]) -> ItemPage[RunRead]:
        """The page of those runs."""
        is_dated = self.created_after is not None or self.created_before is not None
        return await (ProjectRows(RUN_TIMELINE, runs.unit) if is_dated else runs).search(self)


class RunList(RunFilters):
    """Of all runs of the project."""

    workflow_id: str | None = None
    """Runs of this workflow."""
    chain_id: str | None = None
    """Runs of this work chain or sprint chain."""


class RunsByWorkflow(RunFilters):
    """Of one workflow."""

    workflow_id: str
    """The workflow."""


class RunsByChain(RunFilters):
    """Of one chain."""

    chain_id: str
    """The work chain or sprint chain."""


class ByNumber(Wire):
    run_number: Annotated[
        int, Field(ge=1, le=MAX_INTEGER, validation_alias=AliasChoices("runNumber", "number"))
    ]
    """The number that people see; `number` is understood, too."""


@router.get("", READ, name="list_runs_legacy")
@router.get("/list", READ)
async def list_runs(runs: Runs, window: Annotated[RunList, Query()]) -> ItemPage[RunRead]:
    """List the project's runs, newest first."""
    return await window.page(runs)


@router.get("/by-workflow", READ)
async def list_runs_by_workflow(
    runs: Runs, blueprints: Blueprints, window: Annotated[RunsByWorkflow, Query()]
) -> ItemPage[RunRead]:
    """List the runs of one workflow, newest first."""
    await blueprints.get(window.workflow_id)
    return await window.page(runs)


@router.get("/by-chain", READ)
async def list_runs_by_chain(runs: Runs, window: Annotated[RunsByChain, Query()]) -> ItemPage[RunRead]:
    """List the runs of one work chain or sprint chain, newest first."""
    await _require_chain(runs.unit, window.chain_id)
    return await window.page(runs)


@router.get("/get", READ)
async def get_run(id: str, runs: Runs, request: Request, wait: WaitSeconds = 0) -> Item[RunRead]:
    """Get one run; with `wait` as soon as it has ended."""
    await wait_for_end(request, id, wait)
    return runs.item(id)


@router.get("/get-by-number", READ)
async def get_run_by_number(number: Annotated[ByNumber, Query()], runs: Runs) -> Item[RunRead]:
    """Get one run by the number that people see."""
    return runs.get_by(run_number=number.run_number)


@router.get("/detail", READ)
async def get_run_detail(
    id: str, runs: RunDetails, request: Request, wait: WaitSeconds = 0
) -> Item[RunDetail]:
    """Get one run with its steps; with `wait` as soon as it has ended.

    The conversations are in the messages of its sandboxes.
    """
    await wait_for_end(request, id, wait)
    return runs.item(id)


@router.post("/rename", WRITE)
async def rename_run(body: RunRename, runs: Runs) -> Item[RunRead]:
    """Give a run another name, also while it is at work; its branch keeps the one that it has."""
    run = await runs.get(body.run_id, lock=True)
    run.name = body.name
    return runs.item(run.id)


@router.post("/start", WRITE, creates=True)
async def start_run(
    body: RunStartBody, runs: Runs, session: DbSession, workflows: AfterCommitDep, request: Request
) -> Item[RunRead]:
    """Start a run of a workflow on a repository.

    `running` as soon as Temporal has it; `pending` when Temporal cannot be reached just now: it is then
    started later, without another request.
    """
    unit = unit_of_work_of(request)
    settings = unit.api.settings
    await check_stored(unit, body.reference_images)
    project = await session.get_one(Project, unit.key.project_id)
    url = body.github_repo_url or project.github_repo_url
    if url is None:
        raise Invalid("Give githubRepoUrl, or set the project's repository.", field="githubRepoUrl")
    require_branch_name(body.base_branch, "baseBranch")
    for index, branch in enumerate(body.compare_branches):
        require_branch_name(branch, f"compareBranches.{index}")
    run = await create_run(
        session,
        project_id=project.id,
        request=body,
        repository_slug=parse_repository_field(url, settings),
        repository_url=url,
        default_model=settings.default_model,
    )
    start_after_commit(run, workflows)
    return runs.item(run.id)


async def _require_chain(unit: UnitOfWork, chain_id: str) -> None:
    """NotFound unless the project has such a chain of either kind."""
    work, sprint = ProjectRows(WORK_CHAINS, unit), ProjectRows(SPRINT_CHAINS, unit)
    if is_id(chain_id, "wc"):
        await work.get(chain_id)
    elif is_id(chain_id, "sc"):
        await sprint.get(chain_id)
    else:
        raise NotFound("Chain not found.")
