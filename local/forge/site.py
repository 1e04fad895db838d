"""Addresses and the shapes that every noun of the API shares: users and repositories."""

import base64
import zlib
from dataclasses import dataclass
from urllib.parse import quote

from local.forge.repositories import Repository

Json = dict[str, object]
API = "/api/v3"


@dataclass(frozen=True)
class Site:
    """Where the caller reached the forge, without a final slash; links in answers start with it.

    The address is the caller's own because a sandbox may reach the forge by another one than its operator.
    """

    root: str
    login: str
    authenticated: bool

    @property
    def api(self) -> str:
        """The root of the REST API."""
        return self.root + API

    def repo_api(self, repo: Repository) -> str:
        """The API address of a repository."""
        return f"{self.api}/repos/{repo.full_name}"

    def repo_html(self, repo: Repository) -> str:
        """The page of a repository."""
        return f"{self.root}/{repo.full_name}"

    def user(self, login: str) -> Json:
        """GitHub's simple user."""
        api = f"{self.api}/users/{login}"
        links = {
            f"{noun}_url": f"{api}/{path}"
            for noun, path in {
                "followers": "followers",
                "following": "following{/other_user}",
                "gists": "gists{/gist_id}",
                "starred": "starred{/owner}{/repo}",
                "subscriptions": "subscriptions",
                "organizations": "orgs",
                "repos": "repos",
                "events": "events{/privacy}",
                "received_events": "received_events",
            }.items()
        }
        return {
            "login": login,
            "id": zlib.crc32(login.lower().encode()),
            "node_id": node_id("User", login.lower()),
            "avatar_url": "",
            "gravatar_id": "",
            "url": api,
            "html_url": f"{self.root}/{login}",
            **links,
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
            "branches_url": f"{api}/branches{{/branch}}",
            "git_refs_url": f"{api}/git/refs{{/sha}}",
            "statuses_url": f"{api}/statuses/{{sha}}",
            "commits_url": f"{api}/commits{{/sha}}",
            "contents_url": f"{api}/contents/{{+path}}",
            "issue_comment_url": f"{api}/issues/comments{{/number}}",
            "issues_url": f"{api}/issues{{/number}}",
            "pulls_url": f"{api}/pulls{{/number}}",
            "clone_url": f"{html}.git",
            "git_url": f"{html}.git",
            "ssh_url": f"{html}.git",
            "default_branch": repo.default_branch,
            "archived": False,
            "disabled": False,
            "has_issues": True,
            "has_projects": False,
            "has_wiki": False,
            "has_pages": False,
            "has_downloads": False,
            "is_template": False,
            "forks": 0,
            "forks_count": 0,
            "stargazers_count": 0,
            "watchers": 0,
            "watchers_count": 0,
            "size": 0,
            "language": None,
            "license": None,
            "homepage": None,
            "topics": [],
            "allow_merge_commit": True,
            "allow_squash_merge": True,
            "allow_rebase_merge": True,
            "allow_auto_merge": False,
            "allow_forking": False,
            "delete_branch_on_merge": False,
            "permissions": dict.fromkeys(("admin", "maintain", "push", "triage"), self.authenticated)
            | {"pull": True},
            "created_at": repo.created_at,
            "updated_at": repo.updated_at,
            "pushed_at": repo.pushed_at,
        }


def node_id(kind: str, key: int | str) -> str:
    """GitHub's second, opaque id."""
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


def in_path(text: str) -> str:
    """Text as part of an address; slashes stay, as in branch names and file paths."""
    return quote(text, safe="/")
