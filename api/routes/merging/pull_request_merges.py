"""Merging the pull requests of runs."""

from typing import Annotated

from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.auth import requires
from api.http.responses import Item
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.merging.pull_requests import PullRequests
from models.merging.merge_job import MergeJob
from models.merging.merge_job_schemas import PULL_REQUEST_MERGES, PullRequestMerge, PullRequestMergeRead
from models.merging.pull_request_merge_start import request_pull_request_merge

router = Router("/pull-requests", "Pull Requests")
Merges = Annotated[ProjectRows[MergeJob, PullRequestMergeRead], project_rows(PULL_REQUEST_MERGES)]


@router.post("/{id}/merge", requires("github:write"), creates=True)
async def merge_pull_request(
    id: str,
    pull_requests: PullRequests,
    merges: Merges,
    session: DbSession,
    workflows: AfterCommitDep,
    body: PullRequestMerge = PullRequestMerge(),
) -> Item[PullRequestMergeRead]:
    """Merge the pull request of a run as soon as CI lets it through.

    `id` is the run's. While the checks of its head do not pass, the pull request is `blocked_on_ci` and the
    job waits, for seven days at most: no other request is needed. A push voids what was checked before it.
    Rules of the repository, such as required reviews, hold in any case.
    """
    run = await pull_requests.get(id, lock=True)
    job = await request_pull_request_merge(
        session, run, merges.unit.key.member_id, body.merge_strategy, skip_ci_check=body.skip_ci_check
    )
    start_after_commit(job, workflows)
    return merges.item(job.id)
