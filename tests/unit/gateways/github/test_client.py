"""One pull request per run, checks as one verdict, and every refusal of GitHub by its name."""

import asyncio
import base64
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from github import Auth, Github
from github.Repository import Repository

from gateways.errors import CredentialRefused, ProviderLimit, UpstreamFailed, UpstreamRefused
from gateways.github.client import GitHub, clone_url, parse_repository
from kit.database import Database
from local.forge.seed import seed
from models import provider_rate_limit
from tests.support.canned_server import CannedResponse, run_canned_server
from tests.support.servers import FORGE_TOKEN, ServedDirectory

FORGE = "http://127.0.0.1:3200"


@pytest.fixture
def github(forge: ServedDirectory, database: Database) -> GitHub:
    return GitHub(FORGE_TOKEN, api_url=f"{forge.url}/api/v3", database=database, spacing_seconds=0.01)


@dataclass(frozen=True)
class Repo:
    """A repository on the forge, and a clone of it to push from."""

    slug: str
    url: str
    clone: Path
    api: Repository

    def push(self, branch: str, name: str = "a.txt") -> str:
        """Commit a file on a branch off main and push it; its sha."""
        self.git("checkout", "-q", "-B", branch, "origin/main")
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("on: push\n")
        self.git("add", "--all")
        self.git("commit", "-q", "-m", branch)
        self.git("push", "-q", self.url, branch)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        basic = base64.b64encode(f"x-access-token:{FORGE_TOKEN}".encode()).decode()
        config = [
            "http.extraHeader=Authorization: Basic " + basic,
            "user.name=Ada",
            "user.email=ada@example.com",
        ]
        command = ["git", *(word for item in config for word in ("-c", item)), *arguments]
        done = subprocess.run(command, cwd=self.clone, capture_output=True, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture
async def repo(forge: ServedDirectory, tmp_path: Path) -> AsyncIterator[Repo]:
    slug = f"codecourier/repo-{uuid4().hex[:12]}"
    owner, name = slug.split("/")
    await seed(forge.data, owner, name, {"README.md": "# Hello\n"})
    client = Github(
        base_url=f"{forge.url}/api/v3",
        auth=Auth.Token(FORGE_TOKEN),
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    made = Repo(slug, clone_url(slug, forge.url), tmp_path, client.get_repo(slug))
    made.git("clone", "-q", made.url, ".")
    yield made
    client.close()


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://github.com/o/r", "o/r"),
        ("https://github.com/o/r.git", "o/r"),
        ("https://GitHub.com/o/r/", "o/r"),
        ("git@github.com:o/r.git", "o/r"),
        ("git@127.0.0.1:o/r", "o/r"),
        (f"{FORGE}/my-org/a.b_c-1.git", "my-org/a.b_c-1"),
    ],
)
def test_addresses_of_repositories(url: str, slug: str) -> None:
    assert parse_repository(url, FORGE) == slug
    assert clone_url(slug, FORGE) == f"{FORGE}/{slug}.git"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "o/r",
        "https://github.com/o",
        "https://github.com/o/r/tree/main",
        "https://github.com/../r",
        "https://github.com/o/..",
        "https://github.com/o/r?x=1",
        "https://github.com.evil.com/o/r",
        "https://github.com@evil.com/o/r",
        "http://169.254.169.254/o/r",
        "file:///o/r",
        "git@evil.com:o/r.git",
        "http://127.0.0.1:3200@evil.com/o/r",
        "http://127.0.0.1:32001/o/r",
        "https://github.com/-o/r",
        "https://github.com/o/r\n",
        "https://github.com/o/ü",
        "https://u:p@github.com/o/r",
        "ext::sh -c x",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be a repository's address, such as http"):
        parse_repository(url, FORGE)


async def open_pull(github: GitHub, repo: Repo, **changes: str) -> tuple[int, bool]:
    given = {
        "head": "work",
        "base": "main",
        "title": "A title",
        "body": "Words.",
        "marker": "run r_1",
        **changes,
    }
    facts = await github.ensure_pull_request(
        repo.slug,
        head=given["head"],
        base=given["base"],
        title=given["title"],
        body=given["body"],
        draft=True,
        marker=given["marker"],
    )
    assert facts.head_sha == repo.git("rev-parse", given["head"])
    assert facts.url.endswith(f"/{repo.slug}/pull/{facts.number}")
    return facts.number, facts.created


async def test_one_pull_request_per_marker(github: GitHub, repo: Repo) -> None:
    repo.push("work")
    results = [await open_pull(github, repo) for _ in range(2)]
    assert results == [(1, True), (1, False)]
    pull = repo.api.get_pull(1)
    assert (pull.title, pull.body, pull.draft) == ("A title", "Words.\n\n<!-- run r_1 -->", True)
    pull.edit(state="closed")
    assert await open_pull(github, repo) == (1, False)
    assert await open_pull(github, repo, marker="run r_2", body="Of run r_2.") == (2, True)
    assert repo.api.get_pull(2).body == "Of run r_2."
    assert await open_pull(github, repo, marker="run r_3") == (2, False)


async def test_an_open_pull_request_of_another_installation_is_not_ours(github: GitHub, repo: Repo) -> None:
    repo.push("work")
    theirs = "<!-- codecourier:run r_0000000000000000000000000000000a -->"
    assert await open_pull(github, repo, marker=theirs, body=f"Theirs.\n\n{theirs}") == (1, True)
    ours = "<!-- codecourier:run r_0000000000000000000000000000000b -->"
    found = await github.find_pull_request(repo.slug, head="work", base="main", marker=ours)
    assert found is None
    with pytest.raises(UpstreamRefused, match="already exists"):
        await open_pull(github, repo, marker=ours)


async def test_parallel_callers_open_one_pull_request(github: GitHub, repo: Repo) -> None:
    repo.push("work")
    results = await asyncio.gather(*(open_pull(github, repo) for _ in range(4)))
    assert sorted(results) == [(1, False), (1, False), (1, False), (1, True)]


async def test_what_cannot_be_opened_says_why(github: GitHub, repo: Repo) -> None:
    repo.push("work")
    repo.git("branch", "same", "origin/main")
    repo.git("push", "-q", repo.url, "same")
    with pytest.raises(UpstreamRefused, match="No commits between main and same"):
        await open_pull(github, repo, head="same")
    with pytest.raises(UpstreamRefused, match="was refused by GitHub"):
        await open_pull(github, repo, base="nowhere")
    with pytest.raises(UpstreamRefused, match="not found on GitHub"):
        await github.default_branch("codecourier/none")
    assert await github.default_branch(repo.slug) == "main"


async def test_checks_are_one_verdict(github: GitHub, repo: Repo) -> None:
    sha = repo.push("work")
    assert (await github.checks(repo.slug, sha)).status == "none"
    assert not await github.has_ci(repo.slug, sha)
    commit = repo.api.get_commit(sha)
    commit.create_status("success", context="lint", target_url="http://ci/lint")
    assert (await github.checks(repo.slug, sha)).status == "passed"
    assert await github.has_ci(repo.slug, sha)
    run = repo.api.create_check_run("build", sha, status="in_progress")
    assert (await github.checks(repo.slug, sha)).status == "pending"
    run.edit(status="completed", conclusion="neutral")
    assert (await github.checks(repo.slug, sha)).status == "passed"
    repo.api.create_check_run("test", sha, status="completed", conclusion="timed_out")
    facts = await github.checks(repo.slug, sha)
    assert facts.status == "failed"
    assert {(check.name, check.verdict) for check in facts.checks} == {
        ("build", "passed"),
        ("test", "failed"),
        ("lint", "passed"),
    }


async def test_workflow_files_mean_that_checks_will_come(github: GitHub, repo: Repo) -> None:
    sha = repo.push("work", ".github/workflows/ci.yml")
    assert await github.has_ci(repo.slug, sha)
    assert not await github.has_ci(repo.slug, repo.git("rev-parse", "origin/main"))


async def test_a_wrong_token_is_refused(forge: ServedDirectory, database: Database) -> None:
    wrong = GitHub(
        "wrong-token-0123456789", api_url=f"{forge.url}/api/v3", database=database, spacing_seconds=0
    )
    with pytest.raises(CredentialRefused) as refused:
        await wrong.default_branch("o/r")
    assert "wrong-token" not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        (
            lambda: CannedResponse(
                403, {"message": "You have exceeded a secondary rate limit"}, {"Retry-After": "170"}
            ),
            100,
            170,
        ),
        (lambda: CannedResponse(429, {"message": "slow down"}), 1, 60),
        (
            lambda: CannedResponse(
                403,
                {"message": "API rate limit exceeded for user"},
                {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3_600)},
            ),
            3_500,
            3_600,
        ),
    ],
)
async def test_a_limit_is_named_and_kept_for_everyone(
    database: Database, answer: Callable[[], CannedResponse], low: float, high: float
) -> None:
    with run_canned_server(answer()) as server:
        token = uuid4().hex
        first, second = (
            GitHub(token, api_url=server.url, database=database, spacing_seconds=0) for _ in range(2)
        )
        for github in (first, second, first):
            with pytest.raises(ProviderLimit) as limited:
                await github.default_branch("o/r")
            assert limited.value.retry_after is not None
            assert low <= limited.value.retry_after <= high
            assert token not in limited.value.message
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            CannedResponse(403, {"message": "Resource not accessible by personal access token"}),
            CredentialRefused,
        ),
        (CannedResponse(500, "oops"), UpstreamFailed),
        (CannedResponse(502, "<html>"), UpstreamFailed),
        (CannedResponse(200, "no json"), UpstreamFailed),
        (CannedResponse(410, {"message": "gone"}), UpstreamRefused),
    ],
)
async def test_other_refusals(database: Database, answer: CannedResponse, error: type[Exception]) -> None:
    with run_canned_server(answer) as server:
        github = GitHub(uuid4().hex, api_url=server.url, database=database, spacing_seconds=0)
        with pytest.raises(error):
            await github.default_branch("o/r")
        assert len(server.asked) == 1


async def test_nobody_there_is_a_failure(database: Database) -> None:
    github = GitHub(uuid4().hex, api_url="http://127.0.0.1:1", database=database, spacing_seconds=0)
    with pytest.raises(UpstreamFailed, match="cannot be reached"):
        await github.default_branch("o/r")


async def test_a_plan_without_drafts_gets_a_plain_pull_request(database: Database) -> None:
    made = {"number": 7, "html_url": "http://x/o/r/pull/7", "head": {"sha": "a" * 40}}
    refused = {
        "message": "Validation Failed",
        "errors": [{"message": "Draft pull requests are not supported"}],
    }
    with run_canned_server(
        CannedResponse(200, []), CannedResponse(422, refused), CannedResponse(201, made)
    ) as server:
        github = GitHub(uuid4().hex, api_url=server.url, database=database, spacing_seconds=0)
        facts = await github.ensure_pull_request(
            "o/r", head="h", base="main", title="t", body="b", draft=True, marker="m"
        )
    assert (facts.number, facts.created, len(server.asked)) == (7, True, 3)


async def test_writes_take_turns(database: Database) -> None:
    token = uuid4().hex
    await provider_rate_limit.acquire_slot(database, provider_rate_limit.credential_key("github", token), 0.0)
    with run_canned_server(CannedResponse(201, {})) as server:
        github = GitHub(token, api_url=server.url, database=database, spacing_seconds=0.3)

        async def write() -> None:
            await github.call(
                "Writing", lambda client: client.requester.requestJson("POST", "/x"), write=True
            )

        start = time.monotonic()
        await asyncio.gather(*(write() for _ in range(3)))
    assert time.monotonic() - start >= 0.6
    assert server.asked == ["POST /x"] * 3
