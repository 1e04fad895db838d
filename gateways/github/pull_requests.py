"""A pull request as it is now, and merging it: never another commit than the one that was looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from github import Github, GithubException, UnknownObjectException

from gateways.errors import UpstreamRefused
from gateways.github.checks import read_checks
from gateways.github.client import GitHub
from gateways.github.errors import error_message


class MergeRefused(UpstreamRefused):
    """A rule of the repository, or the state of the pull request, forbids it."""


class MergeConflict(MergeRefused):
    """It conflicts with its base branch."""


@dataclass(frozen=True)
class PullRequestState:
    state: Literal["open", "closed", "merged"]
    head_sha: str
    merge_sha: str | None
    """Of the commit that merged it."""
    is_draft: bool = False


@dataclass(frozen=True)
class PullRequestDescription:
    state: Literal["open", "closed", "merged"]
    title: str
    body: str
    base: str


@dataclass(frozen=True)
class MergeAttempt:
    outcome: Literal["merged", "moved", "blocked"]
    """`moved`: head or base is another commit by now, or GitHub has still to look at them: look again.
    `blocked`: its checks do not let it through."""
    merge_sha: str | None = None
    message: str = ""
    """GitHub's words, where it refused."""


class PullRequests:
    """The pull requests of one repository."""

    def __init__(self, github: GitHub, slug: str) -> None:
        self._github, self._slug = github, slug

    async def get(self, number: int) -> PullRequestState:
        def ask(client: Github) -> PullRequestState:
            pull = client.get_repo(self._slug).get_pull(number)
            if pull.merged:
                return PullRequestState("merged", pull.head.sha, pull.merge_commit_sha)
            state: Literal["open", "closed"] = "open" if pull.state == "open" else "closed"
            return PullRequestState(state, pull.head.sha, None, pull.draft)

        return await self._github.call("Reading the pull request", ask)

    async def describe(self, number: int) -> PullRequestDescription | None:
        """What it says of itself, for those who merge it with others; None when there is none such."""

        def ask(client: Github) -> PullRequestDescription | None:
            pull = client.get_repo(self._slug).get_pull(number)
            try:
                state: Literal["open", "closed", "merged"] = "open" if pull.state == "open" else "closed"
            except UnknownObjectException:  # only now it is asked for
                return None
            return PullRequestDescription(
                "merged" if pull.merged else state, pull.title, pull.body or "", pull.base.ref
            )

        return await self._github.call("Reading a pull request", ask)

    async def comment_once(self, number: int, text: str, marker: str) -> None:
        """A comment that carries the marker, unless there is one.

        It is looked for again when it is our turn to write: another attempt may have made it meanwhile.
        """

        def find(client: Github) -> bool:
            comments = client.get_repo(self._slug).get_issue(number).get_comments()
            return any(marker in (comment.body or "") for comment in comments)

        def write(client: Github) -> None:
            if not find(client):
                client.get_repo(self._slug).get_issue(number).create_comment(f"{text}\n\n{marker}")

        if not await self._github.call("Reading the comments", find):
            await self._github.call("Commenting", write, write=True)

    async def change_body(self, number: int, change: Callable[[str], str]) -> None:
        """Give it another text, made from the one that it has."""

        def ask(client: Github) -> None:
            pull = client.get_repo(self._slug).get_pull(number)
            before = pull.body or ""
            if (after := change(before)) != before:
                pull.edit(body=after)

        await self._github.call("Changing the pull request's text", ask, write=True)

    async def set_draft(self, number: int, is_draft: bool) -> None:
        """Make an open one a draft, or ready for review; where a plan has no drafts, it stays as it is."""

        def ask(client: Github) -> None:
            pull = client.get_repo(self._slug).get_pull(number)
            if pull.state != "open" or pull.draft == is_draft:
                return
            try:
                pull.convert_to_draft() if is_draft else pull.mark_ready_for_review()
            except GithubException as error:
                if error.status != 400 or "draft" not in error_message(error).lower():
                    raise

        doing = "Making the pull request a draft" if is_draft else "Marking the pull request as ready"
        await self._github.call(doing, ask, write=True)

    async def merge(self, number: int, *, sha: str, strategy: str, gated: bool) -> MergeAttempt:
        """Merge the pull request if its head is this very commit.

        gated: read the commit's checks once more, right before: waiting for our turn takes its time.
        Raises MergeConflict or MergeRefused, with GitHub's reason.
        """

        def ask(client: Github) -> MergeAttempt:
            if gated and read_checks(client, self._slug, sha).status in ("pending", "failed"):
                return MergeAttempt("blocked")
            pull = client.get_repo(self._slug).get_pull(number)
            try:
                return MergeAttempt("merged", pull.merge(merge_method=strategy, sha=sha).sha)
            except GithubException as error:
                return self._interpret_refusal(client, number, error, gated)

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
                if error.status != 404 and not (
                    error.status == 422 and "does not exist" in error_message(error)
                ):
                    raise
            return True

        return await self._github.call("Deleting the branch", ask, write=True)

    def _interpret_refusal(
        self, client: Github, number: int, error: GithubException, gated: bool
    ) -> MergeAttempt:
        """What a 405 or a 409 means; anything else is raised as it is."""
        said = error_message(error)
        if error.status == 409 or (error.status == 405 and "branch was modified" in said):
            return MergeAttempt("moved", message=said)
        if error.status != 405:
            raise error
        if gated and "required status check" in said.lower():
            return MergeAttempt("blocked", message=said)
        pull = client.get_repo(self._slug).get_pull(number)
        if pull.merged or (pull.state == "open" and pull.mergeable_state == "unknown"):
            return MergeAttempt("moved", message=said)
        if pull.mergeable_state == "dirty":
            raise MergeConflict(
                f"The pull request conflicts with {pull.base.ref}: bring it up to date, then ask again."
            ) from None
        raise MergeRefused(
            f"GitHub does not merge the pull request: {said.rstrip('.')}. "
            "Give what is missing there, then ask again."
        ) from None
