"""Reading commits, and their shape on the wire."""

from dataclasses import dataclass
from datetime import UTC, datetime

from local.forge.errors import Invalid
from local.forge.git import refs
from local.forge.git.diffs import EMPTY_TREE, Change, list_changes
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, node_id

LOG_FORMAT_FIELDS = ("%H", "%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B")
NO_REPLY = "users.noreply.localhost"
"""The host of the addresses under which the forge itself commits for its users."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who and when; the time as git's strict ISO 8601."""

    name: str
    email: str
    date: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit as git tells it."""

    sha: str
    tree: str
    parents: list[str]
    author: Signature
    committer: Signature
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


async def log(repo: Repository, *arguments: str) -> list[Commit]:
    """Commits that `git log` walks for these arguments: ours or full shas, never a caller's text."""
    out = await repo.git.text("log", "-z", f"--format={'%x00'.join(LOG_FORMAT_FIELDS)}", *arguments)
    fields = out.split("\x00")
    width = len(LOG_FORMAT_FIELDS)
    return [
        Commit(sha, tree, parents.split(), Signature(*who[:3]), Signature(*who[3:]), message.rstrip("\n"))
        for sha, tree, parents, *who, message in (
            fields[start : start + width] for start in range(0, len(fields) - width + 1, width)
        )
    ]


async def resolve(repo: Repository, name: str) -> str:
    """The sha that `{ref}` in an address means, or GitHub's refusal."""
    sha = await refs.commit_of(repo.git, name)
    if sha is None:
        raise Invalid(f"No commit found for SHA: {name}")
    return sha


async def read(repo: Repository, name: str) -> tuple[Commit, list[Change]]:
    """One commit and what it changed against its first parent."""
    (commit,) = await log(repo, "-1", await resolve(repo, name))
    before = commit.parents[0] if commit.parents else EMPTY_TREE
    return commit, await list_changes(repo.git, before, commit.sha)


def git_shape(site: Viewer, repo: Repository, commit: Commit) -> Json:
    """The `commit` part: what git itself knows."""
    api = site.repo_api(repo)
    return {
        "url": f"{api}/git/commits/{commit.sha}",
        "message": commit.message,
        "author": signature(commit.author),
        "committer": signature(commit.committer),
        "tree": {"sha": commit.tree, "url": f"{api}/git/trees/{commit.tree}"},
        "comment_count": 0,
        "verification": {
            "verified": False,
            "reason": "unsigned",
            "signature": None,
            "payload": None,
            "verified_at": None,
        },
    }


def shape(site: Viewer, repo: Repository, commit: Commit, files: list[Change] | None = None) -> Json:
    """GitHub's commit; `stats` and `files` only where one commit is asked for."""
    api, html = site.repo_api(repo), site.repo_html(repo)
    whole: Json = {
        "sha": commit.sha,
        "node_id": node_id("Commit", commit.sha),
        "commit": git_shape(site, repo, commit),
        "url": f"{api}/commits/{commit.sha}",
        "html_url": f"{html}/commit/{commit.sha}",
        "comments_url": f"{api}/commits/{commit.sha}/comments",
        "author": user(site, commit.author),
        "committer": user(site, commit.committer),
        "parents": [
            {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{html}/commit/{sha}"}
            for sha in commit.parents
        ],
    }
    if files is not None:
        added, removed = sum(file.additions for file in files), sum(file.deletions for file in files)
        whole["stats"] = {"total": added + removed, "additions": added, "deletions": removed}
        whole["files"] = [file.shape(site, repo, commit.sha) for file in files]
    return whole


def signature(who: Signature) -> Json:
    """`{name, email, date}`."""
    return {"name": who.name, "email": who.email, "date": who.date}


def login_of(who: Signature) -> str | None:
    """The login whose address the forge made up itself; any other address belongs to no account here."""
    login, _, host = who.email.partition("@")
    return login if host == NO_REPLY and login else None


def user(site: Viewer, who: Signature) -> Json | None:
    """GitHub's user of an author or a committer, if there is one."""
    login = login_of(who)
    return site.user(login) if login else None


def to_utc(date: str) -> str:
    """git's strict ISO 8601 as GitHub's DateTime: `2026-11-22T10:00:00Z`."""
    return datetime.fromisoformat(date).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def head_commit(commit: Commit) -> Json:
    """GitHub's short form, as check suites and push events carry it."""
    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "message": commit.message,
        "timestamp": commit.committer.date,
        "author": {"name": commit.author.name, "email": commit.author.email},
        "committer": {"name": commit.committer.name, "email": commit.committer.email},
    }
