"""The merge of several pull requests into one, started."""

from fastapi import Request

from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.auth import requires
from api.github.repository_fields import parse_repository_field
from api.http.responses import Item
from api.http.router import Router
from api.routes.merging.merge_jobs import MergeJobs
from api.state import unit_of_work_of
from gateways.github.client import parse_pull_request
from kit.errors import Invalid
from models.merging.combined_merge_start import create_combined_merge
from models.merging.merge_job_schemas import MergeJobRead, MergeStartBody
from models.projects.project import Project

router = Router("/merging", "Merging")
WRITE = requires("github:write")


@router.post("/start", WRITE, creates=True)
async def start_merge_of_pull_requests(
    body: MergeStartBody,
    merge_jobs: MergeJobs,
    session: DbSession,
    workflows: AfterCommitDep,
    request: Request,
) -> Item[MergeJobRead]:
    """Merge several pull requests of one repository into one: one by one, conflicts solved by an agent.

    What cannot be merged, or breaks `config.checkCommand`, is left out and named in `conflicts`; the rest
    becomes one pull request. `running` as soon as Temporal has it, `pending` when it cannot be reached now.
    """
    unit = unit_of_work_of(request)
    project = await session.get_one(Project, unit.key.project_id)
    url = _repository_url(body)
    job = await create_combined_merge(
        session,
        project,
        unit.key.member_id,
        body,
        repository_slug=parse_repository_field(url, unit.api.settings, "pullRequests"),
        repository_url=url,
        default_model=unit.api.settings.default_model,
    )
    start_after_commit(job, workflows)
    return merge_jobs.item(job.id)


def _repository_url(body: MergeStartBody) -> str:
    """Of the one repository that all the pull requests are of."""
    found: dict[str, None] = {}
    for index, pull in enumerate(body.pull_requests):
        field = f"pullRequests.{index}"
        url, number = parse_pull_request(pull.pr_url)
        if url is None or number != pull.pr_number:
            example = "https://github.com/owner/name/pull/1 and 1"
            raise Invalid(f"{field}: prUrl and prNumber must name one pull request: {example}.", field=field)
        found[url] = None
    numbers = [pull.pr_number for pull in body.pull_requests]
    if len(found) > 1 or len(set(numbers)) < len(numbers):
        raise Invalid(
            "pullRequests: different pull requests of one repository, each once.", field="pullRequests"
        )
    return next(iter(found))
