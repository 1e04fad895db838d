"""A pull request as it is now, and merging it: never another commit than the one that was looked at."""

from dataclasses import dataclass
from typing import Literal

from github import Github, GithubException

from gateways.errors import UpstreamRefused
from gateways.github import GitHub
from gateways.github_checks import checks_of
from gateways.github_errors import words


class MergeRefused(UpstreamRefused):
    """A rule of the repository, or the state of the pull request, forbids it."""


class MergeConflict(MergeRefused):
    """It conflicts with its base branch."""


@dataclass(frozen=True)
class PullRequestNow:
    state: Literal["open", "closed", "merged"]
    head_sha: str
    merge_sha: str | None
    """Of the commit that merged it."""


@dataclass(frozen=True)
class Described:
    state: Literal["open", "closed", "merged"]
    title: str
    body: str
    base: str


@dataclass(frozen=True)
class MergeAttempt:
    outcome: Literal["merged", "moved", "blocked"]
    """`moved`: head or base is another commit by now; `blocked`: its checks do not let it through."""
    merge_sha: str | None = None
    said: str = ""
    """GitHub's words, where it refused."""


class PullRequests:
    """The pull requests of one repository."""

    def __init__(self, github: GitHub, slug: str) -> None:
        self._github, self._slug = github, slug

    async def now(self, number: int) -> PullRequestNow:
        def ask(client: Github) -> PullRequestNow:
            pull = client.get_repo(self._slug).get_pull(number)
            if pull.merged:
                return PullRequestNow("merged", pull.head.sha, pull.merge_commit_sha)
            return PullRequestNow("open" if pull.state == "open" else "closed", pull.head.sha, None)

        return await self._github.call("Reading the pull request", ask)

    async def described(self, number: int) -> Described:
        """What it says of itself, for those who merge it with others."""

        def ask(client: Github) -> Described:
            pull = client.get_repo(self._slug).get_pull(number)
            state: Literal["open", "closed", "merged"] = "open" if pull.state == "open" else "closed"
            return Described("merged" if pull.merged else state, pull.title, pull.body or "", pull.base.ref)

        return await self._github.call("Reading a pull request", ask)

    async def comment_once(self, number: int, text: str, marker: str) -> None:
        """A comment that carries the marker, unless there is one."""

        def find(client: Github) -> bool:
            comments = client.get_repo(self._slug).get_issue(number).get_comments()
            return any(marker in (comment.body or "") for comment in comments)

        def write(client: Github) -> None:
            client.get_repo(self._slug).get_issue(number).create_comment(f"{text}\n\n{marker}")

        if not await self._github.call("Reading the comments", find):
            await self._github.call("Commenting", write, write=True)

    async def merge(self, number: int, *, sha: str, strategy: str, gated: bool) -> MergeAttempt:
        """Merge the pull request if its head is this very commit.

        gated: read the commit's checks once more, right before: waiting for our turn takes its time.
        Raises MergeConflict or MergeRefused, with GitHub's reason.
        """

        def ask(client: Github) -> MergeAttempt:
            if gated and checks_of(client, self._slug, sha).status in ("pending", "failed"):
                return MergeAttempt("blocked")
            pull = client.get_repo(self._slug).get_pull(number)
            try:
                return MergeAttempt("merged", pull.merge(merge_method=strategy, sha=sha).sha)
            except GithubException as error:
                return self._refused(client, number, error, gated)

        return await self._github.call("Merging the pull request", ask, write=True)

    async def delete_branch(self, name: str, sha: str) -> bool:
        """Delete the branch if it still ends in this commit; whether it is gone, now or before."""

        def ask(client: Github) -> bool:
            try:
                ref = client.get_repo(self._slug).get_git_ref(f"heads/{name}")
                if ref.object.sha != sha:
                    return False
                ref.delete()
            except GithubException as error:
                if error.status != 404 and not (error.status == 422 and "does not exist" in words(error)):
                    raise
            return True

        return await self._github.call("Deleting the branch", ask, write=True)

    def _refused(self, client: Github, number: int, error: GithubException, gated: bool) -> MergeAttempt:
        """What a 405 or a 409 means; anything else is raised as it is."""
        said = words(error)
        if error.status == 409 or (error.status == 405 and "branch was modified" in said):
            return MergeAttempt("moved", said=said)
        if error.status != 405:
            raise error
        if gated and "required status check" in said.lower():
            return MergeAttempt("blocked", said=said)
        pull = client.get_repo(self._slug).get_pull(number)
        if pull.merged:
            return MergeAttempt("moved", said=said)
        if pull.mergeable_state == "dirty":
            raise MergeConflict(
                f"The pull request conflicts with {pull.base.ref}: bring it up to date, then ask again."
            ) from None
        raise MergeRefused(
            f"GitHub does not merge the pull request: {said.rstrip('.')}. "
            "Give what is missing there, then ask again."
        ) from None
