"""Pull requests of runs."""

from typing import Annotated

from fastapi import Query

from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from models.merging.pull_request_schemas import PULL_REQUESTS, PullRequestRead
from models.runs.run import PrStatus, Run

router = Router("/pull-requests", "Pull Requests")
PullRequests = Annotated[ProjectRows[Run, PullRequestRead], project_rows(PULL_REQUESTS)]


class PullRequestList(PageQuery):
    status: PrStatus | None = None
    """Only pull requests of this status."""
    run_id: str | None = None
    """Only the pull request of this run."""


@router.get("", requires("github:read"))
async def list_pull_requests(
    pull_requests: PullRequests, window: Annotated[PullRequestList, Query()]
) -> ItemPage[PullRequestRead]:
    """List the pull requests of the project's runs, newest run first, with what CI last said of them.

    They come from the records of the runs, so those made elsewhere are not among them. A run that changed
    nothing is listed with the status `skipped`.
    """
    return pull_requests.page(window, made=True)
