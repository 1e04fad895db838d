"""GitHub in tests of runs: a CI that speaks over REST, and the webhook that tells of it."""

import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx
from pydantic import SecretStr
from sqlmodel import col

from api.app import create_app
from kit.crypto import signature
from models import GithubHint, Run
from tests.support.installation import Installation, wait_until
from tests.support.uvicorn_server import run_app

SECRET: Final = "webhook-secret-of-the-tests"
FILES_WITH_CI: Final = {"greet.py": "print('hi')\n", ".github/workflows/ci.yml": "on: push\n"}
"""A repository whose commits are checked."""


@dataclass(frozen=True)
class ForgeRepository:
    """One repository of the site's forge, over REST."""

    site: Installation
    slug: str

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        token = self.site.settings.github_token or SecretStr("")
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
        url = f"{self.site.settings.github_api_url}/repos/{self.slug}{path}"
        async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
            answer = await http.request(method, url, json=body)
            return answer.raise_for_status().json() if answer.content else None

    async def add_hook(self, url: str, secret: str = SECRET) -> None:
        """Have the repository itself tell of everything from now on."""
        config = {"url": url, "content_type": "json", "secret": secret}
        await self.ask("POST", "/hooks", {"name": "web", "config": config, "events": ["*"]})

    async def begin_check(self, sha: str, name: str = "test") -> int:
        """A check run that is at work; its id."""
        body = {"name": name, "head_sha": sha, "status": "in_progress"}
        return int((await self.ask("POST", "/check-runs", body))["id"])

    async def end_check(self, id: int, conclusion: str = "success", log: str | None = None) -> None:
        """log: what its job wrote."""
        body: dict[str, object] = {"status": "completed", "conclusion": conclusion}
        if log is not None:
            body["output"] = {"title": "Job", "summary": "See the log.", "text": log}
        await self.ask("PATCH", f"/check-runs/{id}", body)

    async def check(self, sha: str, conclusion: str, name: str = "test") -> None:
        """A check run that has ended."""
        await self.end_check(await self.begin_check(sha, name), conclusion)

    async def pull(self, number: int | None) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("GET", f"/pulls/{number}")
        return found

    async def commit(self, parent: str, files: Mapping[str, str], words: str = "A change") -> str:
        """A commit that puts these files on top of another one; no branch has it yet."""
        entries = {line.split("\t")[1]: line for line in self.git("ls-tree", parent).splitlines()}
        for name, text in files.items():
            entries[name] = f"100644 blob {self.git('hash-object', '-w', '--stdin', stdin=text)}\t{name}"
        tree = self.git("mktree", stdin="".join(f"{line}\n" for line in entries.values()))
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        return self.git(*who, "commit-tree", tree, "-p", parent, "-m", words)

    async def branch(self, name: str, sha: str) -> None:
        await self.ask("POST", "/git/refs", {"ref": f"refs/heads/{name}", "sha": sha})

    async def move(self, name: str, sha: str) -> None:
        """What a push does."""
        await self.ask("PATCH", f"/git/refs/heads/{name}", {"sha": sha, "force": True})

    def git(self, *words: str, stdin: str = "") -> str:
        repository = self.site.parts.forge_data / "repos" / f"{self.slug}.git"
        command = ["git", "-c", "safe.directory=*", "-C", str(repository), *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, input=stdin)
        return done.stdout.strip()

    async def has_branch(self, name: str | None) -> bool:
        names = [branch["name"] for branch in await self.ask("GET", "/branches?per_page=100")]
        return name in names


@dataclass(frozen=True)
class ApiServer:
    """The site's API as a server, and GitHub's webhook that calls it."""

    http: httpx.AsyncClient
    secret: str = SECRET
    """What webhooks are signed with."""
    path: str = "/github/webhook"
    """Where they are sent."""

    async def tell(self, event: str, slug: str, *, delivery: str = "", **payload: object) -> None:
        """What GitHub sends, signed; under the id of its delivery, a new one unless given.

        No two of GitHub's are alike: they hold times and numbers.
        """
        told = {"action": "completed", "repository": {"full_name": slug}, "sent": delivery or str(uuid4())}
        answer = await self.send(event, json.dumps({**told, **payload}).encode(), delivery=delivery)
        accepted = ["accepted", "repeated"] if delivery else ["accepted"]
        assert answer.json()["data"]["status"] in accepted, answer.text

    async def send(
        self, event: str, body: bytes, *, delivery: str = "", secret: str | None = None
    ) -> httpx.Response:
        headers = {
            "X-Hub-Signature-256": f"sha256={signature(secret or self.secret, body)}",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or str(uuid4()),
        }
        return await self.http.post(self.path, content=body, headers=headers)

    async def tell_of_merge(self, slug: str, number: int) -> None:
        await self.tell(
            "pull_request", slug, action="closed", pull_request={"number": number, "merged": True}
        )

    async def tell_of_check(self, slug: str, sha: str) -> None:
        await self.tell("check_run", slug, check_run={"head_sha": sha})


async def wait_for_hints_read(site: Installation, run: Run) -> None:
    """Wait until all that was told of a run was read on GitHub."""

    async def is_settled() -> bool:
        return await site.rows(GithubHint, col(GithubHint.run_id) == run.id, col(GithubHint.left_sha)) == []

    await wait_until(is_settled, "what was told was looked into")


@asynccontextmanager
async def serving_api(site: Installation) -> AsyncIterator[ApiServer]:
    """The API of a site over HTTP until the block ends."""
    app = create_app(site.settings.model_copy(update={"github_webhook_secret": SecretStr(SECRET)}))
    async with (
        app.router.lifespan_context(app),
        run_app(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        yield ApiServer(http)
