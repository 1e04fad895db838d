"""Pull requests as issues: reading one, and its comments."""

from fastapi import APIRouter
from pydantic import Field

from local.forge.rest.body import Body
from local.forge.rest.dependencies import (
    CurrentLogin,
    CurrentViewer,
    PositiveId,
    ReadableRepository,
    WritableRepository,
)
from local.forge.rest.pagination import Page
from local.forge.rest.pull_request_shapes import issue_shape
from local.forge.store import comments, pull_requests
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/issues")


class WriteComment(Body):
    body: str = Field(min_length=1, max_length=65_536)


@router.get("/comments/{key}")
async def one_comment(key: PositiveId, found: ReadableRepository, site: CurrentViewer) -> Json:
    return (await comments.get(found, key)).shape(site, found)


@router.patch("/comments/{key}")
async def edit_comment(
    key: PositiveId, body: WriteComment, found: WritableRepository, site: CurrentViewer
) -> Json:
    return (await comments.edit(found, key, body.body)).shape(site, found)


@router.delete("/comments/{key}", status_code=204)
async def delete_comment(key: PositiveId, found: WritableRepository) -> None:
    await comments.remove(found, key)


@router.get("/{number}")
async def issue(number: PositiveId, found: ReadableRepository, site: CurrentViewer) -> Json:
    pull = await pull_requests.get(found, number)
    return issue_shape(site, found, pull, len(await comments.list_by_pull_request(found, number)))


@router.get("/{number}/comments")
async def comments_of_issue(
    number: PositiveId, found: ReadableRepository, site: CurrentViewer, page: Page
) -> list[Json]:
    await pull_requests.get(found, number)
    return [
        comment.shape(site, found) for comment in page.cut(await comments.list_by_pull_request(found, number))
    ]


@router.post("/{number}/comments", status_code=201)
async def create_comment(
    number: PositiveId,
    body: WriteComment,
    found: WritableRepository,
    site: CurrentViewer,
    login: CurrentLogin,
) -> Json:
    await pull_requests.get(found, number)
    return (await comments.add(found, number, body.body, login)).shape(site, found)
