"""GitHub Apps: signed requests, and tokens that open what they say, through the real PyGithub and git."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from github import Auth, Github, GithubException, GithubIntegration

from local.forge.seed import seed
from tests.support.github_app import APP_ID, forge_with_app, key_pair
from tests.support.servers import ServedDirectory
from tests.unit.local.forge.conftest import run_git

READING = {"contents": "read", "pull_requests": "read"}


@dataclass(frozen=True)
class AppForge:
    server: ServedDirectory

    @property
    def api(self) -> str:
        return f"{self.server.url}/api/v3"

    def integration(self, app_id: str = APP_ID, key: str = "") -> GithubIntegration:
        auth = Auth.AppAuth(app_id, key or key_pair().private)
        return GithubIntegration(auth=auth, base_url=self.api, retry=None)

    async def repository(self, owner: str = "acme") -> str:
        name = f"repo-{uuid4().hex[:12]}"
        await seed(self.server.data, owner, name, {"a.txt": "a\n"})
        return f"{owner}/{name}"

    def token(self, slug: str, **body: Any) -> str:
        """Of the one repository, unless it says otherwise."""
        owner, name = slug.split("/")
        with closing(self.integration()) as integration:
            installation = integration.get_repo_installation(owner, name).id
            path = f"/app/installations/{installation}/access_tokens"
            given = {"repositories": [name], **body}
            _, made = integration.requester.requestJsonAndCheck("POST", path, input=given)
        return str(made["token"])

    def github(self, token: str) -> Github:
        return Github(base_url=self.api, auth=Auth.Token(token), retry=None)


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppForge]:
    with forge_with_app(tmp_path_factory.mktemp("forge"), "acme", "other") as server:
        yield AppForge(server)


def refused(status: int) -> Any:
    return pytest.raises(GithubException, match=rf"\b{status} \{{")


async def test_an_installation_is_found_by_its_repository(forge: AppForge) -> None:
    owner, name = (await forge.repository()).split("/")
    with closing(forge.integration()) as integration:
        installation = integration.get_repo_installation(owner, name)
        assert installation.permissions["contents"] == "write"
        assert integration.get_app().slug == f"app-{APP_ID}"
        with refused(404):
            integration.get_repo_installation(owner, "none")
    without = (await forge.repository("nobody")).split("/")
    with closing(forge.integration()) as integration, refused(404):
        integration.get_repo_installation(*without)


async def test_only_the_apps_own_key_signs(forge: AppForge) -> None:
    owner, name = (await forge.repository()).split("/")
    for integration in (forge.integration(key=key_pair(1).private), forge.integration(app_id="54321")):
        with closing(integration), refused(401):
            integration.get_repo_installation(owner, name)
    now = int(time.time())
    for claims in (
        {"iat": now, "exp": now + 3_600, "iss": APP_ID},
        {"iat": now - 900, "exp": now - 300, "iss": APP_ID},
        {"iat": now, "iss": APP_ID},
    ):
        token = jwt.encode(claims, key_pair().private, algorithm="RS256")
        assert httpx.get(f"{forge.api}/app", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert httpx.get(f"{forge.api}/app").status_code == 401


async def test_a_token_opens_its_repository_alone(forge: AppForge, tmp_path: Path) -> None:
    slug, sibling = await forge.repository(), await forge.repository()
    token = forge.token(slug)
    with closing(forge.github(token)) as github:
        assert github.get_repo(slug).get_branch("main").name == "main"
        assert github.get_repo(slug).get_contents("a.txt")
        for path in (sibling, await forge.repository("other"), await forge.repository("nobody")):
            with refused(404):
                github.get_repo(path)
        with refused(403):
            github.get_user().login  # noqa: B018
        query = {"query": '{ repository(owner: "acme", name: "NAME") { name } }'}
        query["query"] = query["query"].replace("NAME", sibling.split("/")[1])
        asked = httpx.post(
            f"{forge.server.url}/api/graphql", json=query, headers={"Authorization": f"Bearer {token}"}
        )
        assert asked.json()["errors"][0]["type"] == "NOT_FOUND"
    listed = run_git("ls-remote", f"{forge.server.url}/{slug}.git", cwd=tmp_path, token=token)
    assert listed.returncode == 0, listed.stderr
    assert run_git("ls-remote", f"{forge.server.url}/{sibling}.git", cwd=tmp_path, token=token).returncode


async def test_a_token_does_what_it_is_permitted(forge: AppForge, tmp_path: Path) -> None:
    slug = await forge.repository()
    token = forge.token(slug, permissions=READING)
    with closing(forge.github(token)) as github:
        repository = github.get_repo(slug)
        sha = repository.get_branch("main").commit.sha
        assert repository.get_pulls().totalCount == 0
        for act in (
            lambda: repository.create_git_ref("refs/heads/new", sha),
            lambda: repository.create_pull("main", "new", title="T"),
            lambda: repository.get_commit(sha).get_check_runs().totalCount,
            lambda: repository.get_hooks().totalCount,
        ):
            with refused(403):
                act()
    clone = tmp_path / "clone"
    url = f"{forge.server.url}/{slug}.git"
    assert run_git("clone", "--quiet", url, str(clone), cwd=tmp_path, token=token).returncode == 0
    assert run_git("push", "--quiet", "origin", "HEAD:refs/heads/new", cwd=clone, token=token).returncode
    writing = forge.token(slug)
    pushed = run_git("push", "--quiet", "origin", "HEAD:refs/heads/new", cwd=clone, token=writing)
    assert pushed.returncode == 0, pushed.stderr


async def test_no_token_is_made_of_more_than_the_installation_has(forge: AppForge) -> None:
    slug, foreign = await forge.repository(), await forge.repository("other")
    bodies: list[dict[str, Any]] = [
        {"permissions": {"administration": "write"}},
        {"permissions": {"contents": "admin"}},
        {"repositories": [foreign.split("/")[1]]},
        {"repositories": []},
    ]
    for body in bodies:
        with refused(422):
            forge.token(slug, **body)
    every = forge.token(slug, repositories=None)
    with closing(forge.github(every)) as github:
        assert github.get_repo(await forge.repository()).private
        with refused(404):
            github.get_repo(foreign)


async def test_a_token_that_nobody_made_is_refused(forge: AppForge) -> None:
    slug = await forge.repository()
    forged = jwt.encode({"owner": "acme", "exp": time.time() + 60}, "x" * 64, algorithm="HS256")
    for token in (f"ghs_{forged}", "ghs_", forge.token(slug)[:-4]):
        with closing(forge.github(token)) as github, refused(401):
            github.get_repo(slug)
