"""Addresses and the shapes that every noun of the API shares: users and repositories."""

import base64
import zlib
from dataclasses import dataclass
from urllib.parse import quote

from local.forge import url_templates
from local.forge.github_app import Grant
from local.forge.store.repositories import Repository

Json = dict[str, object]
API = "/api/v3"
ALLOWED_MERGE_METHODS = ("merge_commit", "squash_merge", "rebase_merge")
DISABLED_FEATURES = (
    *("archived", "disabled", "is_template", "delete_branch_on_merge", "allow_auto_merge", "allow_forking"),
    *("has_projects", "has_wiki", "has_pages", "has_downloads", "has_discussions"),
)
ZERO_COUNTS = (
    *("forks", "forks_count", "stargazers_count", "watchers", "watchers_count"),
    *("open_issues", "open_issues_count", "network_count", "subscribers_count"),
)


@dataclass(frozen=True)
class Viewer:
    """Where the caller reached the forge, without a final slash; links in answers start with it.

    The address is the caller's own because a sandbox may reach the forge by another one than its operator.
    """

    root: str
    login: str
    """The caller's; the forge's own user for callers without a token."""
    authenticated: bool
    grant: Grant | None = None
    """What the caller's token opens, where it is an installation's."""

    @property
    def api(self) -> str:
        """The root of the REST API."""
        return self.root + API

    def sees(self, repo: Repository) -> bool:
        """Whether there is such a repository, for this caller."""
        if self.grant is not None:
            return not repo.private or self.grant.opens(repo.id, repo.owner)
        return self.authenticated or not repo.private

    def repo_api(self, repo: Repository) -> str:
        """The API address of a repository."""
        return f"{self.api}/repos/{repo.full_name}"

    def repo_html(self, repo: Repository) -> str:
        """The page of a repository."""
        return f"{self.root}/{repo.full_name}"

    def user(self, login: str) -> Json:
        """GitHub's simple user."""
        api = f"{self.api}/users/{login}"
        return {
            "login": login,
            "id": zlib.crc32(login.lower().encode()),
            "node_id": node_id("User", login.lower()),
            "avatar_url": "",
            "gravatar_id": "",
            "url": api,
            "html_url": f"{self.root}/{login}",
            **{name: api + path for name, path in url_templates.USER.items()},
            "type": "User",
            "site_admin": False,
        }

    def repository(self, repo: Repository) -> Json:
        """GitHub's full repository, without the parts that a forge of bare repositories has not."""
        api, html = self.repo_api(repo), self.repo_html(repo)
        return {
            "id": repo.id,
            "node_id": node_id("Repository", repo.id),
            "name": repo.name,
            "full_name": repo.full_name,
            "owner": self.user(repo.owner),
            "private": repo.private,
            "visibility": "private" if repo.private else "public",
            "html_url": html,
            "description": repo.description,
            "fork": False,
            "url": api,
            **{name: api + path for name, path in url_templates.REPOSITORY.items()},
            "clone_url": f"{html}.git",
            "git_url": f"{html}.git",
            "ssh_url": f"{html}.git",
            "default_branch": repo.default_branch,
            "svn_url": html,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            "topics": [],
            "size": 0,
            **dict.fromkeys(DISABLED_FEATURES, False),
            **dict.fromkeys(ZERO_COUNTS, 0),
            **dict.fromkeys(("has_issues", *(f"allow_{way}" for way in ALLOWED_MERGE_METHODS)), True),
            "permissions": dict.fromkeys(("admin", "maintain", "push", "triage"), self.authenticated)
            | {"pull": True},
            "created_at": repo.created_at,
            "updated_at": repo.updated_at,
            "pushed_at": repo.pushed_at,
        }


def node_id(kind: str, key: int | str) -> str:
    """GitHub's second, opaque id."""
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


def parse_node_id(given: str) -> tuple[str, str]:
    """What a `node_id` was made of; two empty words for what is none."""
    try:
        kind, _, key = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return kind, key


def quote_path(text: str) -> str:
    """Text as part of an address; slashes stay, as in branch names and file paths."""
    return quote(text, safe="/")
