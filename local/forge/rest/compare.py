"""Comparing two commits."""

import asyncio

from fastapi import APIRouter

from local.forge.errors import NotFound
from local.forge.git import commits
from local.forge.git.diffs import list_changes
from local.forge.rest.dependencies import CurrentViewer, ReadableRepository
from local.forge.rest.pagination import Page
from local.forge.store.pull_requests import own_branch
from local.forge.viewer import Json, quote_path

router = APIRouter(prefix="/repos/{owner}/{repo}/compare")


@router.get("/{basehead:path}")
async def compare(basehead: str, found: ReadableRepository, site: CurrentViewer, page: Page) -> Json:
    base, dots, head = basehead.partition("...")
    ours, theirs = own_branch(found, base), own_branch(found, head)
    if not dots or ours is None or theirs is None:
        raise NotFound
    old, new = await asyncio.gather(commits.resolve(found, ours), commits.resolve(found, theirs))
    parted = await found.git.run("merge-base", old, new, codes=(0, 1))
    if parted.code == 1:
        raise NotFound(f"No common ancestor between {base} and {head}.")
    behind, ahead = map(
        int, (await found.git.text("rev-list", "--left-right", "--count", f"{old}...{new}")).split()
    )
    listed, files, (first,), (fork,) = await asyncio.gather(
        commits.log(found, "--reverse", f"{old}..{new}"),
        list_changes(found.git, parted.text, new),
        commits.log(found, "-1", old),
        commits.log(found, "-1", parted.text),
    )
    html = f"{site.repo_html(found)}/compare/{quote_path(basehead)}"
    ways = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}
    return {
        "url": f"{site.repo_api(found)}/compare/{quote_path(basehead)}",
        "html_url": html,
        "permalink_url": f"{site.repo_html(found)}/compare/{old}...{new}",
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": commits.shape(site, found, first),
        "merge_base_commit": commits.shape(site, found, fork),
        "status": ways.get((ahead > 0, behind > 0), "identical"),
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [commits.shape(site, found, commit) for commit in page.cut(listed)],
        "files": [file.shape(site, found, new) for file in files],
    }
