"""Branches of the project's repository."""

from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from api.auth import requires
from api.github.client import NO_REPOSITORY, github_client, map_github_errors, project_repository
from api.http.pagination import CursorCodec, PageQuery
from api.http.router import Router
from api.state import unit_of_work_of
from gateways.github.branches import Branches, BranchProtected
from kit.errors import Conflict, Forbidden, NotFound
from kit.schemas import Page
from models.github.branch_schemas import BranchRead

router = Router("/branches", "Branches", upstream=True)
BRANCH_NOT_FOUND = "Branch not found."


class BranchList(PageQuery):
    limit: Annotated[int, Field(ge=1, le=100)] = 100
    """How many branches a page has at most."""
    prefix: Annotated[str, Field(max_length=250)] = ""
    """Only branches whose names begin with it."""


@router.get("", requires("github:read"))
async def list_branches(request: Request, window: Annotated[BranchList, Query()]) -> Page[BranchRead]:
    """List the branches of the project's repository by name, as GitHub has them now.

    `prefix` keeps those whose names begin with it. A page may hold fewer than `limit` although there are
    more: go by `hasMore`.
    """
    unit = unit_of_work_of(request)
    slug = await project_repository(unit)
    cursors = CursorCodec(["branches", unit.key.project_id, slug, window.prefix], [str])
    after = None if window.cursor is None else str(cursors.decode(window.cursor)[0])
    if slug is None:
        raise Conflict(NO_REPOSITORY)
    async with map_github_errors():
        page = await Branches(await github_client(unit, slug), slug).page(window.prefix, window.limit, after)
    return Page(
        data=[BranchRead(id=branch.name, **vars(branch)) for branch in page.branches],
        next_cursor=cursors.encode([page.after]) if page.after else None,
        has_more=page.after is not None,
    )


@router.delete("/{name:path}", requires("github:write"))
async def delete_branch(name: str, request: Request) -> BranchRead:
    """Delete a branch of the project's repository on GitHub.

    The name is URL-encoded (`feature%2Fdark-mode`). The default branch and protected ones are kept: 403.
    """
    unit = unit_of_work_of(request)
    slug = await project_repository(unit)
    if slug is None:
        raise Conflict(NO_REPOSITORY)
    async with map_github_errors():
        branches = Branches(await github_client(unit, slug), slug)
        if (branch := await branches.get(name)) is None:
            raise NotFound(BRANCH_NOT_FOUND)
        if branch.is_default or branch.is_protected:
            kind = "the default branch" if branch.is_default else "protected"
            raise Forbidden(f"The branch {branch.name} is {kind} and cannot be deleted here.")
        try:
            if not await branches.delete(name):
                raise NotFound(BRANCH_NOT_FOUND)
        except BranchProtected as error:
            raise Forbidden(error.message) from error
    return BranchRead(id=branch.name, **vars(branch))
