"""Pull requests on the wire."""

import asyncio

from local.forge.git.diffs import count_changes
from local.forge.store import merge_requirements, pull_request_merge, statuses
from local.forge.store.pull_requests import PullRequest
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, node_id


def shape(site: Viewer, repo: Repository, pull: PullRequest) -> Json:
    """GitHub's simple pull request, as lists show it."""
    api, html = site.repo_api(repo), f"{site.repo_html(repo)}/pull/{pull.number}"
    url, issue = f"{api}/pulls/{pull.number}", f"{api}/issues/{pull.number}"
    links = {
        "self": url,
        "html": html,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{api}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{api}/statuses/{pull.head_sha}",
    }
    return {
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "number": pull.number,
        "url": url,
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        "commits_url": links["commits"],
        "comments_url": links["comments"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "statuses_url": links["statuses"],
        "_links": {name: {"href": href} for name, href in links.items()},
        "state": pull.state,
        "locked": False,
        "active_lock_reason": None,
        "title": pull.title,
        "body": pull.body,
        "draft": pull.draft,
        "user": site.user(pull.author),
        "author_association": "OWNER",
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": pull.merge_commit_sha if pull.merged_at else None,
        "head": branch_shape(site, repo, pull.head_ref, pull.head_sha),
        "base": branch_shape(site, repo, pull.base_ref, pull.base_sha),
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [],
        "milestone": None,
        "auto_merge": None,
    }


async def detail_shape(site: Viewer, repo: Repository, pull: PullRequest) -> Json:
    """GitHub's full pull request: the simple one and what has to be computed."""
    (files, added, removed), count, comments, mergeable = await asyncio.gather(
        count_changes(repo.git, pull.base_sha, pull.head_sha),
        repo.git.text("rev-list", "--count", f"{pull.base_sha}..{pull.head_sha}"),
        repo.db.count("comments WHERE repository_id = ? AND number = ?", repo.id, pull.number),
        pull_request_merge.is_mergeable(repo, pull),
    )
    return shape(site, repo, pull) | {
        "merged": pull.merged_at is not None,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": await mergeable_state(site, repo, pull, mergeable),
        "merged_by": site.user(pull.merged_by or pull.author) if pull.merged_at else None,
        "comments": comments,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": int(count),
        "additions": added,
        "deletions": removed,
        "changed_files": files,
    }


async def mergeable_state(site: Viewer, repo: Repository, pull: PullRequest, mergeable: bool | None) -> str:
    """GitHub's word for how it stands.

    unknown (closed), dirty (conflicts), draft, behind (a strict base has moved on), blocked (a protected base
    asks for more), unstable (a check or status that nothing asks for is not green), clean.
    """
    if mergeable is None:
        return "unknown"
    if not mergeable:
        return "dirty"
    if pull.draft:
        return "draft"
    if await merge_requirements.is_behind(repo, pull):
        return "behind"
    if await merge_requirements.unmet_requirement(repo, pull, site.login):
        return "blocked"
    return "clean" if await statuses.has_only_successes(repo, pull.head_sha) else "unstable"


def branch_shape(site: Viewer, repo: Repository, branch: str, sha: str) -> Json:
    """Head or base."""
    return {
        "label": f"{repo.owner}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": site.user(repo.owner),
        "repo": site.repository(repo),
    }


def issue_shape(site: Viewer, repo: Repository, pull: PullRequest, comments: int) -> Json:
    """The issue that every pull request is on GitHub."""
    whole = shape(site, repo, pull)
    url = str(whole["issue_url"])
    shared = (
        "id node_id number html_url state locked active_lock_reason title body draft user author_association"
        " created_at updated_at closed_at assignee assignees labels milestone comments_url"
    )
    return {name: whole[name] for name in shared.split()} | {
        "url": url,
        "repository_url": site.repo_api(repo),
        "labels_url": f"{url}/labels{{/name}}",
        "events_url": f"{url}/events",
        "comments": comments,
        "state_reason": None,
        "pull_request": {
            name: whole[name] for name in ("url", "html_url", "diff_url", "patch_url", "merged_at")
        },
    }
