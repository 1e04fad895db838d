"""GitHub over PyGithub: calls that take turns and keep limits; pull requests, looked up before made."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar
from urllib.parse import urlsplit

from github import Auth, Github, GithubException
from github.PullRequest import PullRequest

from gateways.errors import ProviderLimit, UpstreamFailed
from gateways.github.checks import CommitChecks, has_ci, read_checks
from gateways.github.errors import UNNAMED_LIMIT_SECONDS, error_message, mapped_errors
from gateways.github.markers import JOB_MARKER
from kit.database import Database
from models import provider_rate_limit

T = TypeVar("T")

MAX_THREADS: Final = 16
REQUEST_TIMEOUT_SECONDS: Final = 30
_OWNER = r"(?P<owner>[A-Za-z0-9][A-Za-z0-9_-]{0,38})"
_NAME = r"(?P<name>[A-Za-z0-9._-]{1,100}?)"
_PATH = re.compile(rf"/?{_OWNER}/{_NAME}(?:\.git)?/?\Z")


@dataclass(frozen=True)
class PullRequestFacts:
    number: int
    url: str
    head_sha: str
    created: bool
    """Whether this call made it; False when it was there already."""


def parse_repository(url: str, github_url: str) -> str:
    """`owner/name` of a repository's address on GitHub or on the configured server.

    Takes `https://github.com/o/r`, `git@github.com:o/r.git` and their like on `github_url`, or raises
    `ValueError`.
    """
    ours = github_url.rstrip("/")
    host = urlsplit(ours).hostname
    bases = ("https://github.com/", "git@github.com:", f"{ours}/", f"git@{host}:")
    for base in bases:
        if url[: len(base)].lower() == base.lower():
            found = _PATH.match(url[len(base) :])
            if found and found["name"] not in (".", ".."):
                return f"{found['owner']}/{found['name']}"
    raise ValueError(f"must be a repository's address, such as {ours}/owner/name")


def parse_pull_request(url: str) -> tuple[str | None, int]:
    """A pull request's address as its repository's and its number; None when it is none."""
    found = re.fullmatch(r"(?P<repository>https?://[^\s?#]+?)/pull/(?P<number>[1-9][0-9]{0,9})/?", url)
    return (found["repository"], int(found["number"])) if found else (None, 0)


def clone_url(slug: str, github_url: str) -> str:
    """The only address that git is ever given."""
    return f"{github_url.rstrip('/')}/{slug}.git"


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="github")


class GitHub:
    """One token's view of GitHub.  Light: made for each use, and making it does no I/O.

    Writes take turns, `spacing_seconds` apart, with every other process that uses the same token; a turn that
    is far away is a `ProviderLimit`, too.  A limit that GitHub names is kept for all of them and raised
    without asking again.
    """

    def __init__(
        self,
        token: str,
        *,
        api_url: str,
        database: Database,
        spacing_seconds: float,
        holder: str | None = None,
    ) -> None:
        """holder: whose limits GitHub counts, where they are not this one token's."""
        self._token, self._api_url = token, api_url
        self._database, self._spacing = database, spacing_seconds
        self._key = provider_rate_limit.credential_key("github", holder or token)

    async def default_branch(self, slug: str) -> str:
        def ask(client: Github) -> str | None:
            return client.get_repo(slug).default_branch

        if name := await self.call("Reading the repository", ask):
            return name
        raise UpstreamFailed("Reading the repository failed: GitHub's answer names no default branch.")

    async def ensure_pull_request(
        self, slug: str, *, head: str, base: str, title: str, body: str, draft: bool, marker: str
    ) -> PullRequestFacts:
        """The pull request of branch `head` that carries `marker`, open or not, made if there is none.

        The marker is put into the body if it is not in it.  An open one of the same branches counts too,
        unless it carries a marker of somebody else's: another installation may work on the repository.
        """
        text = body if marker in body else f"{body}\n\n<!-- {marker} -->"

        def find(client: Github) -> PullRequestFacts | None:
            return _find(client, slug, head, base, marker)

        def create(client: Github) -> PullRequestFacts:
            repository = client.get_repo(slug)
            try:
                return _facts(
                    repository.create_pull(base, head, title=title, body=text, draft=draft), created=True
                )
            except GithubException as error:
                if error.status != 422:
                    raise
                if draft and "draft" in error_message(error).lower():  # a plan without drafts
                    return _facts(repository.create_pull(base, head, title=title, body=text), created=True)
                if made := find(client):  # in the meantime
                    return made
                raise

        if found := await self.call("Looking for the pull request", find):
            return found
        return await self.call("Opening the pull request", create, write=True)

    async def find_pull_request(
        self, slug: str, *, head: str, base: str | None, marker: str
    ) -> PullRequestFacts | None:
        """The one that `ensure_pull_request` would find; None when it would have to make one.

        base: None for only what carries the marker.
        """
        return await self.call(
            "Looking for the pull request", lambda client: _find(client, slug, head, base, marker)
        )

    async def read_login(self) -> str:
        """Whose token it is; an app's installation may not ask, but GitHub has answered it."""

        def ask(client: Github) -> str:
            try:
                return client.get_user().login
            except GithubException as error:
                if error.status != 403:
                    raise
                return "an app"

        return await self.call("Asking GitHub who we are", ask)

    async def checks(self, slug: str, sha: str) -> CommitChecks:
        """What check runs and commit statuses say of a commit."""
        return await self.call("Reading the checks", lambda client: read_checks(client, slug, sha))

    async def has_ci(self, slug: str, sha: str) -> bool:
        """Whether checks of this commit are to be expected: it has workflow files, or some have begun."""
        return await self.call("Looking for CI", lambda client: has_ci(client, slug, sha))

    async def call(self, doing: str, ask: Callable[[Github], T], *, write: bool = False) -> T:
        """Ask in a thread of the pool; first wait for our turn, and remember the limit if there is one.

        `doing` begins the sentence of an error; `write`: writes take turns.
        """
        if block := await provider_rate_limit.current_back_off(self._database, self._key):
            raise ProviderLimit(f"{doing} was put off: {block.reason}", block.seconds)
        if write:
            turn = await provider_rate_limit.acquire_slot(self._database, self._key, self._spacing)
            if not turn.is_reserved:
                raise ProviderLimit(f"{doing} waits for its turn: many writes come before it.", turn.seconds)
            await asyncio.sleep(turn.seconds)
        try:
            return await self._in_thread(doing, ask)
        except ProviderLimit as limit:
            wait = limit.retry_after or UNNAMED_LIMIT_SECONDS
            await provider_rate_limit.back_off(self._database, self._key, wait, limit.message)
            raise

    async def _in_thread(self, doing: str, ask: Callable[[Github], T]) -> T:
        def work() -> T:
            client = Github(
                base_url=self._api_url,
                auth=Auth.Token(self._token),
                timeout=REQUEST_TIMEOUT_SECONDS,
                per_page=100,
                lazy=True,
                retry=None,
                seconds_between_requests=None,
                seconds_between_writes=None,
            )
            with closing(client):
                return ask(client)

        return await run_in_thread(doing, work)


async def run_in_thread(doing: str, work: Callable[[], T]) -> T:
    """Do it in a thread of the pool; what PyGithub raises becomes an error of `gateways.errors`."""

    def translating() -> T:
        with mapped_errors(doing):
            return work()

    return await asyncio.get_running_loop().run_in_executor(_threads(), translating)


def _find(client: Github, slug: str, head: str, base: str | None, marker: str) -> PullRequestFacts | None:
    owner = slug.split("/")[0]
    pulls = list(client.get_repo(slug).get_pulls(state="all", head=f"{owner}:{head}"))
    marked = [pull for pull in pulls if marker in (pull.body or "")]
    same = [
        pull
        for pull in pulls
        if pull.state == "open" and pull.base.ref == base and not JOB_MARKER.search(pull.body or "")
    ]
    return _facts((marked + same)[0], created=False) if marked or same else None


def _facts(pull: PullRequest, *, created: bool) -> PullRequestFacts:
    return PullRequestFacts(pull.number, pull.html_url, pull.head.sha, created)
