"""Check suites: what the latest runs of a commit say together, and which pull requests they are about."""

from local.forge.git import commits, refs
from local.forge.store import check_runs
from local.forge.store.check_runs import APP, CheckRun
from local.forge.store.pull_requests import PullRequest
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, node_id


async def shape(site: Viewer, repo: Repository, runs: list[CheckRun]) -> Json:
    """GitHub's check suite, made of the latest runs of one commit."""
    sha, key, api = runs[0].head_sha, runs[0].suite_id, site.repo_api(repo)
    status, conclusion = check_runs.state_of_suite(runs)
    (head,) = await commits.log(repo, "-1", sha)
    times = sorted(time for run in runs for time in (run.started_at, run.completed_at) if time)
    return {
        "id": key,
        "node_id": node_id("CheckSuite", key),
        "head_branch": await head_branch(repo, sha),
        "head_sha": sha,
        "before": head.parents[0] if head.parents else None,
        "after": sha,
        "status": status,
        "conclusion": conclusion,
        "url": f"{api}/check-suites/{key}",
        "check_runs_url": f"{api}/check-suites/{key}/check-runs",
        "latest_check_runs_count": len(runs),
        "pull_requests": await pull_requests(site, repo, sha),
        "app": APP,
        "repository": site.repository(repo),
        "head_commit": commits.head_commit(head),
        "created_at": times[0],
        "updated_at": times[-1],
    }


async def pull_requests_with_head(repo: Repository, sha: str) -> list[PullRequest]:
    """The open pull requests whose head this commit is."""
    rows = await repo.db.all(
        "SELECT * FROM pulls WHERE repository_id = ? AND state = 'open' AND head_sha = ? ORDER BY number",
        *(repo.id, sha),
    )
    return [PullRequest.of(row) for row in rows]


async def pull_requests(site: Viewer, repo: Repository, sha: str) -> list[Json]:
    """GitHub's minimal form of them."""
    api = site.repo_api(repo)
    here = {"id": repo.id, "url": api, "name": repo.name}
    return [
        {
            "id": pull.id,
            "number": pull.number,
            "url": f"{api}/pulls/{pull.number}",
            "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": here},
            "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": here},
        }
        for pull in await pull_requests_with_head(repo, sha)
    ]


async def head_branch(repo: Repository, sha: str) -> str | None:
    """The branch the checks are about: a pull request's, else one whose tip this is."""
    for pull in await pull_requests_with_head(repo, sha):
        return pull.head_ref
    tips = await refs.list_refs(repo.git, f"--points-at={sha}", "refs/heads")
    return tips[0].name.removeprefix("refs/heads/") if tips else None
