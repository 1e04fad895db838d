"""Reviews of pull requests."""

from typing import Literal

from fastapi import APIRouter

from local.forge import pulls, refs, reviews
from local.forge.dependencies import Number, Readable, Site, User, Writable
from local.forge.errors import Invalid
from local.forge.paging import Page
from local.forge.reviews import NewReview
from local.forge.routes.body import Body
from local.forge.site import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/pulls/{number}/reviews")


class CreateReview(Body):
    """Submitted with its creation: a draft (no `event`) is not kept here."""

    event: Literal["APPROVE", "REQUEST_CHANGES", "COMMENT"]
    body: str = ""
    commit_id: str | None = None


@router.get("")
async def reviews_of_pull(number: Number, found: Readable, site: Site, page: Page) -> list[Json]:
    await pulls.get(found, number)
    return [review.shape(site, found) for review in page.cut(await reviews.of_pull(found, number))]


@router.post("")
async def create_review(number: Number, body: CreateReview, found: Writable, site: Site, login: User) -> Json:
    pull = await pulls.get(found, number)
    commit = body.commit_id
    if commit is not None and (not refs.SHA.fullmatch(commit) or not await refs.commit_of(found.git, commit)):
        raise Invalid.field("PullRequestReview", "commit_id")
    return (await reviews.add(found, pull, NewReview(body.event, body.body, commit), login)).shape(
        site, found
    )
