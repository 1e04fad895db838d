"""What a browser shows: a repository, and a pull request with its commits and diff; plain, without script."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from local.forge.authentication import CHALLENGE
from local.forge.errors import BadCredentials, NotFound
from local.forge.git import commits, refs
from local.forge.git.diffs import Change, list_changes
from local.forge.html.markup import Html, diff, document, lines, link, tag, unordered_list
from local.forge.rest.dependencies import CurrentStore, PositiveId, current_viewer, readable_repository
from local.forge.store import check_runs, comments, pull_requests, statuses
from local.forge.store.pull_requests import PullRequest
from local.forge.store.repositories import Repository

router = APIRouter(prefix="/{owner}/{repo}")


async def readable_in_browser(owner: str, repo: str, request: Request, store: CurrentStore) -> Repository:
    """The repository, if public or asked for with the token; otherwise the browser asks for it."""
    try:
        here = current_viewer(request, store)
        return await readable_repository(owner, repo, here, store)
    except BadCredentials:
        raise HTTPException(401, "Bad credentials", headers=CHALLENGE) from None
    except NotFound:
        if here.authenticated:
            raise
        raise HTTPException(401, "Requires authentication", headers=CHALLENGE) from None


ReadableInBrowser = Annotated[Repository, Depends(readable_in_browser)]


@router.get("")
async def repository_page(found: ReadableInBrowser) -> HTMLResponse:
    everything = pull_requests.PullRequestFilter(state="all")
    listed, total = await pull_requests.find(found, everything, limit=100, offset=0)
    heads = await refs.list_refs(found.git, "refs/heads")
    rows = [
        tag(
            "li",
            link(f"/{found.full_name}/pull/{pull.number}", f"#{pull.number} {pull.title}"),
            state_badge(pull),
        )
        for pull in listed
    ]
    return document(
        found.full_name,
        tag("p", found.description or ""),
        tag("h2", "Branches"),
        unordered_list(
            [tag("li", ref.name.removeprefix("refs/heads/"), tag("code", ref.sha[:7])) for ref in heads]
        ),
        tag("h2", f"Pull requests ({total})"),
        unordered_list(rows),
    )


@router.get("/pull/{number}.diff")
async def pull_diff(number: PositiveId, found: ReadableInBrowser) -> PlainTextResponse:
    pull = await pull_requests.get(found, number)
    return PlainTextResponse(await found.git.text("diff", f"{pull.base_sha}...{pull.head_sha}") + "\n")


@router.get("/pull/{number}")
async def pull_page(number: PositiveId, found: ReadableInBrowser) -> HTMLResponse:
    pull = await pull_requests.get(found, number)
    fork = await found.git.text("merge-base", pull.base_sha, pull.head_sha)
    files = await list_changes(found.git, fork, pull.head_sha)
    listed = await commits.log(found, "--reverse", f"{pull.base_sha}..{pull.head_sha}")
    written = await comments.list_by_pull_request(found, number)
    return document(
        f"{pull.title} #{pull.number}",
        tag("p", link(f"/{found.full_name}", found.full_name)),
        tag("p", state_badge(pull), f" {pull.author} wants to merge {pull.head_ref} into {pull.base_ref}"),
        lines(pull.body or "No description."),
        *await checks(found, pull),
        tag("h2", f"Commits ({len(listed)})"),
        unordered_list(
            [tag("li", tag("code", one.sha[:7]), f" {one.subject} ({one.author.name})") for one in listed]
        ),
        *(
            part
            for one in written
            for part in (tag("h2", f"{one.author}, {one.created_at}"), lines(one.body))
        ),
        tag("h2", change_summary(files)),
        *(diff(file.path, file.previous, file.patch) for file in files),
    )


async def checks(repo: Repository, pull: PullRequest) -> list[Html]:
    """The state of every check and status of the head, or nothing."""
    runs = check_runs.latest_by_name(await check_runs.list_by_commit(repo, pull.head_sha))
    reports = statuses.latest_by_context(await statuses.list_by_commit(repo, pull.head_sha))
    rows = [tag("li", f"{run.name}: {run.conclusion or run.status}") for run in runs]
    rows += [tag("li", f"{one.context}: {one.state} {one.description or ''}") for one in reports]
    return [tag("h2", "Checks"), unordered_list(rows)] if rows else []


def state_badge(pull: PullRequest) -> Html:
    """Its state in one word."""
    state = "merged" if pull.merged_at else "draft" if pull.draft and pull.state == "open" else pull.state
    return tag("b", state, kind=state)


def change_summary(files: list[Change]) -> str:
    """`Files changed (2): +10 −3`."""
    added, removed = sum(file.additions for file in files), sum(file.deletions for file in files)
    return f"Files changed ({len(files)}): +{added} −{removed}"
