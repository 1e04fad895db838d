"""Pull requests as issues: reading one, and its comments."""

from fastapi import APIRouter
from pydantic import Field

from local.forge.rest.body import Body
from local.forge.rest.dependencies import Number, Readable, Site, User, Writable
from local.forge.rest.pagination import Page
from local.forge.rest.pull_request_shapes import as_issue
from local.forge.store import comments, pull_requests
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/issues")


class WriteComment(Body):
    body: str = Field(min_length=1, max_length=65_536)


@router.get("/comments/{key}")
async def one_comment(key: Number, found: Readable, site: Site) -> Json:
    return (await comments.get(found, key)).shape(site, found)


@router.patch("/comments/{key}")
async def edit_comment(key: Number, body: WriteComment, found: Writable, site: Site) -> Json:
    return (await comments.edit(found, key, body.body)).shape(site, found)


@router.delete("/comments/{key}", status_code=204)
async def delete_comment(key: Number, found: Writable) -> None:
    await comments.remove(found, key)


@router.get("/{number}")
async def issue(number: Number, found: Readable, site: Site) -> Json:
    pull = await pull_requests.get(found, number)
    return as_issue(site, found, pull, len(await comments.of_pull(found, number)))


@router.get("/{number}/comments")
async def comments_of_issue(number: Number, found: Readable, site: Site, page: Page) -> list[Json]:
    await pull_requests.get(found, number)
    return [comment.shape(site, found) for comment in page.cut(await comments.of_pull(found, number))]


@router.post("/{number}/comments", status_code=201)
async def create_comment(
    number: Number, body: WriteComment, found: Writable, site: Site, login: User
) -> Json:
    await pull_requests.get(found, number)
    return (await comments.add(found, number, body.body, login)).shape(site, found)
