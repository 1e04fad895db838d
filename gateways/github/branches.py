"""The branches of a repository on GitHub: a hundred of them, with their tips, in one request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from github import Github, GithubException
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from gateways.errors import UpstreamFailed, UpstreamRefused
from gateways.git.branch_names import is_branch_name
from gateways.github.client import GitHub
from gateways.github.errors import error_message

MAX_PAGE_BRANCHES: Final = 100
"""Branches of one request."""
MAX_REQUESTS: Final = 10
_PAGE = """
query($owner: String!, $name: String!, $query: String, $first: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    defaultBranchRef { name }
    refs(refPrefix: "refs/heads/", query: $query, first: $first, after: $after) {
      pageInfo { hasNextPage }
      edges { cursor node { name branchProtectionRule { id } target { ... on Commit {
        oid committedDate author { name user { login } } } } } }
    }
  }
}
"""


@dataclass(frozen=True)
class Branch:
    name: str
    sha: str
    author: str | None
    """Their login where GitHub knows it, else their name."""
    committed_at: datetime
    is_protected: bool
    is_default: bool


@dataclass(frozen=True)
class BranchPage:
    branches: list[Branch]
    after: str | None
    """Where the next page begins; None after the last one."""


class BranchProtected(UpstreamRefused):
    """A rule of the repository keeps the branch."""


class Branches:
    """The branches of one repository."""

    def __init__(self, github: GitHub, slug: str) -> None:
        self._github, self._slug = github, slug

    async def page(self, prefix: str, limit: int, after: str | None) -> BranchPage:
        """At most `limit` branches whose names begin with `prefix`, in GitHub's order.

        GitHub filters by any part of the name, so what does not fit is passed over here.  A prefix that fits
        hardly anything makes short pages, even empty ones, rather than many requests.
        """
        found: list[tuple[str, Branch]] = []
        for _ in range(MAX_REQUESTS):
            page = await self._read(prefix, MAX_PAGE_BRANCHES if prefix else limit, after)
            found += [each for each in page.found if each[1].name.startswith(prefix)]
            if len(found) > limit or (len(found) == limit and page.has_next and not prefix):
                return BranchPage([branch for _, branch in found[:limit]], found[limit - 1][0])
            after = page.last
            if not page.has_next or after is None:
                return BranchPage([branch for _, branch in found], None)
        return BranchPage([branch for _, branch in found], after)

    async def get(self, name: str) -> Branch | None:
        """One branch by its name; None if there is none."""
        if not is_branch_name(name):
            return None

        def ask(client: Github) -> Branch | None:
            repository = client.get_repo(self._slug)
            try:
                found = repository.get_branch(name)
            except GithubException as error:
                if error.status == 404 and repository.default_branch:  # which is asked for here, or 404 too
                    return None
                raise
            commit = found.commit
            author = commit.author.login if commit.author else commit.commit.author.name
            return Branch(
                found.name,
                commit.sha,
                author,
                commit.commit.committer.date,
                found.protected,
                found.name == repository.default_branch,
            )

        return await self._github.call("Reading the branch", ask)

    async def create_from_default(self, name: str) -> None:
        """Make a branch at the tip of the default branch; one that is there already stays as it is.

        UpstreamRefused where git does not take the name or the repository has no commit yet.
        """
        if not is_branch_name(name):
            raise UpstreamRefused(f"{name[:200]!r} is not a branch name: git does not take it.")

        def ask(client: Github) -> None:
            repository = client.get_repo(self._slug)
            try:
                tip = repository.get_branch(repository.default_branch).commit.sha
                repository.create_git_ref(f"refs/heads/{name}", tip)
            except GithubException as error:
                if error.status == 422 and "already exists" in error_message(error):
                    return
                raise

        await self._github.call("Making the branch", ask, write=True)

    async def delete(self, name: str) -> bool:
        """Delete a branch; False when it is gone already, BranchProtected when a rule keeps it."""
        if not is_branch_name(name):
            return False

        def ask(client: Github) -> bool:
            url = f"{client.get_repo(self._slug).url}/git/refs/heads/{quote(name)}"
            try:
                client.requester.requestJsonAndCheck("DELETE", url)
            except GithubException as error:
                if error.status != 422:
                    raise
                if "does not exist" in error_message(error):
                    return False
                raise BranchProtected(f"GitHub keeps the branch: {error_message(error)}") from None
            return True

        return await self._github.call("Deleting the branch", ask, write=True)

    async def _read(self, query: str, first: int, after: str | None) -> "_Read":
        owner, name = self._slug.split("/")
        variables = {"owner": owner, "name": name, "query": query or None, "first": first, "after": after}

        def ask(client: Github) -> "_Read":
            _, answer = client.requester.graphql_query(_PAGE, variables)
            try:
                return _Answer.model_validate(answer).read()
            except ValidationError:
                raise UpstreamFailed(
                    "Listing the branches failed: GitHub's answer has another form."
                ) from None

        return await self._github.call("Listing the branches", ask)


@dataclass(frozen=True)
class _Read:
    found: list[tuple[str, Branch]]
    """Each with the place behind it."""
    last: str | None
    has_next: bool


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _User(_Part):
    login: str


class _Author(_Part):
    name: str | None = None
    user: _User | None = None


class _Commit(_Part):
    oid: str | None = None
    committed_date: datetime | None = None
    author: _Author | None = None


class _Named(_Part):
    name: str


class _Rule(_Part):
    id: str


class _Ref(_Named):
    branch_protection_rule: _Rule | None = None
    target: _Commit | None = None


class _Edge(_Part):
    cursor: str
    node: _Ref


class _PageInfo(_Part):
    has_next_page: bool


class _Refs(_Part):
    page_info: _PageInfo
    edges: list[_Edge]


class _Repository(_Part):
    default_branch_ref: _Named | None
    refs: _Refs


class _Data(_Part):
    repository: _Repository


class _Answer(_Part):
    data: _Data

    def read(self) -> _Read:
        repository = self.data.repository
        default = repository.default_branch_ref.name if repository.default_branch_ref else None
        edges = repository.refs.edges
        found = [(edge.cursor, branch) for edge in edges if (branch := _branch(edge.node, default))]
        return _Read(found, edges[-1].cursor if edges else None, repository.refs.page_info.has_next_page)


def _branch(ref: _Ref, default: str | None) -> Branch | None:
    """None for what points at no commit."""
    commit = ref.target
    if commit is None or commit.oid is None or commit.committed_date is None:
        return None
    by = commit.author
    author = (by.user.login if by.user else by.name) if by else None
    protected = ref.branch_protection_rule is not None
    return Branch(ref.name, commit.oid, author, commit.committed_date, protected, ref.name == default)
