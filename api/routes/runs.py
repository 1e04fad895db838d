"""Runs: started, listed and looked at."""

from typing import Annotated

from fastapi import Query, Request
from pydantic import AliasChoices, Field

from api.answers import Many, One
from api.context import unit_of
from api.keys import needs
from api.pages import LARGEST_INTEGER, Window
from api.repository import repository
from api.router import Router
from api.rows import Rows, rows
from api.starting import hand_over
from api.workflows import Session, Workflows
from kit.errors import Invalid
from kit.wire import Wire
from models.project import Project
from models.run import Run, RunSource, RunStatus
from models.run_start import create_run
from models.run_wire import RUN_DETAILS, RUNS, RunDetail, RunRead, RunStartBody

router = Router("/runs", "Runs")
READ, WRITE = needs("runs:read"), needs("runs:write")
Runs = Annotated[Rows[Run, RunRead], rows(RUNS)]
RunDetails = Annotated[Rows[Run, RunDetail], rows(RUN_DETAILS)]


class RunList(Window):
    status: RunStatus | None = None
    source: RunSource | None = None


class ByNumber(Wire):
    run_number: Annotated[
        int, Field(ge=1, le=LARGEST_INTEGER, validation_alias=AliasChoices("runNumber", "number"))
    ]


@router.get("", READ, name="list_runs_legacy")
@router.get("/list", READ)
async def list_runs(runs: Runs, window: Annotated[RunList, Query()]) -> Many[RunRead]:
    """List the project's runs, newest first."""
    return runs.page(window)


@router.get("/get", READ)
async def get_run(id: str, runs: Runs) -> One[RunRead]:
    """Get one run."""
    return runs.one(id)


@router.get("/get-by-number", READ)
async def get_run_by_number(number: Annotated[ByNumber, Query()], runs: Runs) -> One[RunRead]:
    """Get one run by the number that people see."""
    return runs.the(run_number=number.run_number)


@router.get("/detail", READ)
async def get_run_detail(id: str, runs: RunDetails) -> One[RunDetail]:
    """Get one run with its steps; the conversations are in the messages of its sandboxes."""
    return runs.one(id)


@router.post("/start", WRITE, creates=True)
async def start_run(
    body: RunStartBody, runs: Runs, session: Session, workflows: Workflows, request: Request
) -> One[RunRead]:
    """Start a run of a workflow on a repository.

    `running` as soon as the engine has it; `pending` when the engine cannot be reached just now: it is then
    started later, without another request.
    """
    unit = unit_of(request)
    settings = unit.api.settings
    project = await session.get_one(Project, unit.key.project_id)
    url = body.github_repo_url or project.github_repo_url
    if url is None:
        raise Invalid("Give githubRepoUrl, or set the project's repository.", field="githubRepoUrl")
    run = await create_run(
        session,
        project_id=project.id,
        request=body,
        repository_slug=repository(url, settings),
        repository_url=url,
        default_model=settings.default_model,
    )
    hand_over(run, workflows)
    return runs.one(run.id)
