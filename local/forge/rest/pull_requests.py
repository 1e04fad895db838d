"""Pull requests."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from local.forge.errors import Invalid
from local.forge.git import commits
from local.forge.git.diffs import list_changes
from local.forge.rest.body import Body
from local.forge.rest.dependencies import (
    CurrentLogin,
    CurrentViewer,
    PositiveId,
    ReadableRepository,
    WritableRepository,
)
from local.forge.rest.pagination import Page
from local.forge.rest.pull_request_shapes import detail_shape, shape
from local.forge.store import (
    pull_request_edits,
    pull_request_merge,
    pull_requests,
)
from local.forge.store.pull_request_edits import PullRequestEdit
from local.forge.store.pull_requests import NewPullRequest, PullRequestFilter
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/pulls")


class CreatePull(Body):
    title: str = Field(min_length=1, max_length=256)
    head: str
    base: str
    body: str | None = None
    draft: bool = False


class EditPull(Body):
    title: str | None = Field(None, min_length=1, max_length=256)
    body: str | None = None
    state: Literal["open", "closed"] | None = None
    base: str | None = None


class MergePull(Body):
    commit_title: str | None = None
    commit_message: str | None = None
    sha: str | None = None
    merge_method: Literal["merge", "squash", "rebase"] = "merge"


class ListPulls(Body):
    state: Literal["open", "closed", "all"] = "open"
    head: str | None = None
    base: str | None = None
    sort: Literal["created", "updated", "popularity", "long-running"] = "created"
    direction: Literal["asc", "desc"] | None = None


@router.get("")
async def list_pulls(
    found: ReadableRepository, site: CurrentViewer, page: Page, wanted: Annotated[ListPulls, Query()]
) -> list[Json]:
    direction = wanted.direction or ("desc" if wanted.sort == "created" else "asc")
    only = PullRequestFilter(wanted.state, wanted.head, wanted.base, wanted.sort, direction)
    listed, total = await pull_requests.find(found, only, page.limit, page.offset)
    page.link(total)
    return [shape(site, found, pull) for pull in listed]


@router.post("", status_code=201)
async def create_pull(
    body: CreatePull, found: WritableRepository, site: CurrentViewer, login: CurrentLogin, response: Response
) -> Json:
    head = pull_requests.own_branch(found, body.head)
    if head is None:
        raise Invalid.field("PullRequest", "head")
    new = NewPullRequest(body.title, body.body, head, body.base, body.draft)
    whole = await detail_shape(site, found, await pull_request_edits.open_pull_request(found, new, login))
    response.headers["Location"] = str(whole["url"])
    return whole


@router.get("/{number}")
async def one_pull(number: PositiveId, found: ReadableRepository, site: CurrentViewer) -> Json:
    return await detail_shape(site, found, await pull_requests.get(found, number))


@router.patch("/{number}")
async def edit_pull(
    number: PositiveId, body: EditPull, found: WritableRepository, site: CurrentViewer, login: CurrentLogin
) -> Json:
    pull = await pull_requests.get(found, number)
    wish = PullRequestEdit(body.title, body.body, body.state, body.base)
    return await detail_shape(
        site, found, await pull_request_edits.update_pull_request(found, pull, wish, login)
    )


@router.get("/{number}/commits")
async def commits_of_pull(
    number: PositiveId, found: ReadableRepository, site: CurrentViewer, page: Page
) -> list[Json]:
    pull = await pull_requests.get(found, number)
    listed = await commits.log(found, "--reverse", f"{pull.base_sha}..{pull.head_sha}")
    return [commits.shape(site, found, commit) for commit in page.cut(listed)]


@router.get("/{number}/files")
async def files_of_pull(
    number: PositiveId, found: ReadableRepository, site: CurrentViewer, page: Page
) -> list[Json]:
    pull = await pull_requests.get(found, number)
    fork = await found.git.text("merge-base", pull.base_sha, pull.head_sha)
    files = page.cut(await list_changes(found.git, fork, pull.head_sha))
    return [file.shape(site, found, pull.head_sha) for file in files]


@router.get("/{number}/merge", status_code=204)
async def is_merged(number: PositiveId, found: ReadableRepository) -> None:
    await pull_requests.require_merged(found, number)


@router.put("/{number}/merge")
async def merge_pull(
    number: PositiveId, found: WritableRepository, login: CurrentLogin, body: MergePull | None = None
) -> Json:
    wish = body or MergePull()
    how = pull_request_merge.MergeRequest(
        wish.merge_method, wish.sha, wish.commit_title, wish.commit_message, login
    )
    sha = await pull_request_merge.merge(found, number, how)
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
