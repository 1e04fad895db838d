"""The payload of a push: what GitHub tells of a branch or a tag that moved."""

from datetime import datetime

from local.forge.git import commits, refs
from local.forge.git.commits import NO_REPLY, Commit
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer

MAX_PUSH_COMMITS = 2048  # commits, as on GitHub


async def push_details(site: Viewer, repo: Repository, facts: Json) -> Json:
    """facts: `ref`, `before`, `after`; forty zeros for what was or is not there."""
    ref, before, after = (str(facts[name]) for name in ("ref", "before", "after"))
    created, deleted = before == refs.ZERO_SHA, after == refs.ZERO_SHA
    forced = not (created or deleted) and not await refs.is_ancestor(repo.git, before, after)
    listed = [] if deleted else await pushed_commits(repo, ref, before, after)
    tip = None if deleted else await refs.commit_of(repo.git, after)
    head = await commits.log(repo, "-1", tip) if tip else []
    files = await changed_files(repo, [*listed, *head])
    html = site.repo_html(repo)
    last = f"commit/{after}" if created else f"compare/{before[:12]}...{after[:12]}"
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "created": created,
        "deleted": deleted,
        "forced": forced,
        "base_ref": None,
        "compare": f"{html}/{last}",
        "commits": [commit_shape(site, repo, commit, files) for commit in listed],
        "head_commit": commit_shape(site, repo, head[0], files) if head else None,
        "pusher": {"name": site.login, "email": f"{site.login}@{NO_REPLY}"},
        "repository": repository_shape(site, repo),
    }


async def pushed_commits(repo: Repository, ref: str, before: str, after: str) -> list[Commit]:
    """The commits the push put on the branch, oldest first; on a new one those the default branch has not."""
    if not ref.startswith("refs/heads/"):
        return []
    without = [f"^{before}"] if before != refs.ZERO_SHA else []
    if not without and ref != f"refs/heads/{repo.default_branch}":
        without = [f"^{tip}" for tip in await refs.branch_tips(repo.git, repo.default_branch) if tip]
    listed = await commits.log(repo, f"--max-count={MAX_PUSH_COMMITS}", after, *without)
    return listed[::-1]


async def changed_files(repo: Repository, of: list[Commit]) -> dict[str, dict[str, list[str]]]:
    """The files of each commit by what became of them."""
    if not of:
        return {}
    out = await repo.git.text(
        *("log", "--no-walk=unsorted", "--format=%x00%H", "--name-status", "--no-renames"),
        *("--diff-merges=first-parent", "--stdin"),
        stdin="".join(f"{commit.sha}\n" for commit in of).encode(),
    )
    found: dict[str, dict[str, list[str]]] = {}
    for section in out.split("\x00")[1:]:
        sha, *lines = section.splitlines()
        files: dict[str, list[str]] = {"added": [], "removed": [], "modified": []}
        for letter, _, path in (line.partition("\t") for line in lines if line):
            files[{"A": "added", "D": "removed"}.get(letter, "modified")].append(path)
        found[sha] = files
    return found


def commit_shape(
    site: Viewer, repo: Repository, commit: Commit, files: dict[str, dict[str, list[str]]]
) -> Json:
    """GitHub's commit of a push."""
    whole = commits.head_commit(commit) | {
        "distinct": True,
        "url": f"{site.repo_html(repo)}/commit/{commit.sha}",
    }
    for name, who in (("author", commit.author), ("committer", commit.committer)):
        login = commits.login_of(who)
        whole[name] = {"name": who.name, "email": who.email} | ({"username": login} if login else {})
    return whole | files.get(commit.sha, {"added": [], "removed": [], "modified": []})


def repository_shape(site: Viewer, repo: Repository) -> Json:
    """The repository as pushes alone show it: some times in seconds, the owner with a name."""
    owner = {"name": repo.owner, "email": f"{repo.owner}@{NO_REPLY}"} | site.user(repo.owner)
    return site.repository(repo) | {
        "url": site.repo_html(repo),
        "owner": owner,
        "created_at": epoch_seconds(repo.created_at),
        "pushed_at": epoch_seconds(repo.pushed_at),
        "stargazers": 0,
        "master_branch": repo.default_branch,
    }


def epoch_seconds(time: str) -> int:
    """Since the epoch."""
    return int(datetime.fromisoformat(time).timestamp())
