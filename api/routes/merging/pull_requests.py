"""Pull requests of runs."""

from typing import Annotated

from fastapi import Query

from api.auth import needs
from api.http.pagination import Window
from api.http.responses import Many
from api.http.router import Router
from api.http.rows import Rows, rows
from models.merging.pull_request_schemas import PULL_REQUESTS, PullRequestRead
from models.runs.run import PrStatus, Run

router = Router("/pull-requests", "Pull Requests")
PullRequests = Annotated[Rows[Run, PullRequestRead], rows(PULL_REQUESTS)]


class PullRequestList(Window):
    status: PrStatus | None = None
    """Only pull requests of this status."""
    run_id: str | None = None
    """Only the pull request of this run."""


@router.get("", needs("github:read"))
async def list_pull_requests(
    pull_requests: PullRequests, window: Annotated[PullRequestList, Query()]
) -> Many[PullRequestRead]:
    """List the pull requests of the project's runs, newest run first, with what CI last said of them.

    They come from the records of the runs, so those made elsewhere are not among them. A run that changed
    nothing is listed with the status `skipped`.
    """
    return pull_requests.page(window, made=True)
