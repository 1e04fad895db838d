"""Merging the pull requests of runs."""

from typing import Annotated

from api.after_commit import Session, Workflows
from api.auth import needs
from api.http.responses import One
from api.http.router import Router
from api.http.rows import Rows, rows
from api.routes.merging.pull_requests import PullRequests
from api.workflow_start import hand_over
from models.merging.merge_job import MergeJob
from models.merging.merge_job_schemas import PULL_REQUEST_MERGES, PullRequestMerge, PullRequestMergeRead
from models.merging.pull_request_merge_start import request_merge

router = Router("/pull-requests", "Pull Requests")
Merges = Annotated[Rows[MergeJob, PullRequestMergeRead], rows(PULL_REQUEST_MERGES)]


@router.post("/{id}/merge", needs("github:write"), creates=True)
async def merge_pull_request(
    id: str,
    pull_requests: PullRequests,
    merges: Merges,
    session: Session,
    workflows: Workflows,
    body: PullRequestMerge = PullRequestMerge(),
) -> One[PullRequestMergeRead]:
    """Merge the pull request of a run as soon as CI lets it through.

    `id` is the run's. While the checks of its head do not pass, the pull request is `blocked_on_ci` and the
    job waits, for seven days at most: no other request is needed. A push voids what was checked before it.
    Rules of the repository, such as required reviews, hold in any case.
    """
    run = await pull_requests.get(id, lock=True)
    job = await request_merge(
        session, run, merges.unit.key.member_id, body.merge_strategy, skip_ci_check=body.skip_ci_check
    )
    hand_over(job, workflows)
    return merges.one(job.id)
