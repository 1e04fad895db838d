"""Merge jobs."""

from typing import Annotated

from fastapi import Query

from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from models.merging.merge_job import MergeJob, MergeStatus
from models.merging.merge_job_schemas import MERGE_JOBS, MergeJobRead

router = Router("/merging", "Merging")
READ = requires("github:read")
MergeJobs = Annotated[ProjectRows[MergeJob, MergeJobRead], project_rows(MERGE_JOBS)]


class MergeJobList(PageQuery):
    status: MergeStatus | None = None
    """Only merge jobs of this status."""
    run_id: str | None = None
    """Only merges of this run's pull request."""


@router.get("/list", READ)
async def list_merge_jobs(
    merge_jobs: MergeJobs, window: Annotated[MergeJobList, Query()]
) -> ItemPage[MergeJobRead]:
    """List the project's merge jobs, newest first."""
    return merge_jobs.page(window)


@router.get("/get", READ)
async def get_merge_job(id: str, merge_jobs: MergeJobs) -> Item[MergeJobRead]:
    """Get one merge job."""
    return merge_jobs.item(id)
