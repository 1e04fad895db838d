"""Reviews of pull requests."""

from typing import Literal

from fastapi import APIRouter

from local.forge.errors import Invalid
from local.forge.git import refs
from local.forge.rest.body import Body
from local.forge.rest.dependencies import (
    CurrentLogin,
    CurrentViewer,
    PositiveId,
    ReadableRepository,
    WritableRepository,
)
from local.forge.rest.pagination import Page
from local.forge.store import pull_requests, reviews
from local.forge.store.reviews import NewReview
from local.forge.viewer import Json

router = APIRouter(prefix="/repos/{owner}/{repo}/pulls/{number}/reviews")


class CreateReview(Body):
    """Submitted with its creation: a draft (no `event`) is not kept here."""

    event: Literal["APPROVE", "REQUEST_CHANGES", "COMMENT"]
    body: str = ""
    commit_id: str | None = None


@router.get("")
async def reviews_of_pull(
    number: PositiveId, found: ReadableRepository, site: CurrentViewer, page: Page
) -> list[Json]:
    await pull_requests.get(found, number)
    return [
        review.shape(site, found) for review in page.cut(await reviews.list_by_pull_request(found, number))
    ]


@router.post("")
async def create_review(
    number: PositiveId,
    body: CreateReview,
    found: WritableRepository,
    site: CurrentViewer,
    login: CurrentLogin,
) -> Json:
    pull = await pull_requests.get(found, number)
    commit = body.commit_id
    if commit is not None and (not refs.SHA.fullmatch(commit) or not await refs.commit_of(found.git, commit)):
        raise Invalid.field("PullRequestReview", "commit_id")
    return (await reviews.add(found, pull, NewReview(body.event, body.body, commit), login)).shape(
        site, found
    )
