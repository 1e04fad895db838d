"""Branches of the project's repository, asked of GitHub in the middle of a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from github import Auth, Github
from github.Repository import Repository
from pydantic import SecretStr

from kit.settings import Settings
from local.forge.seed import seed
from local.stack.ports import free_ports
from tests.conftest import ProjectKey
from tests.support.canned_server import CannedResponse, run_canned_server
from tests.support.contract_client import ContractClient
from tests.support.servers import FORGE_TOKEN, ServedDirectory
from tests.unit.api.conftest import client_of, running


@pytest.fixture
async def here(forge_app: FastAPI, project: ProjectKey) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a project whose repository is on the forge."""
    async with client_of(forge_app, project) as client:
        yield client


@pytest.fixture
async def repository(here: httpx.AsyncClient, forge: ServedDirectory) -> AsyncIterator[Repository]:
    slug = f"org/repo-{uuid4().hex[:12]}"
    owner, name = slug.split("/")
    await seed(forge.data, owner, name, {"a.txt": "a\n"})
    set_ = await here.post("/project/update", json={"githubRepoUrl": f"{forge.url}/{slug}"})
    assert set_.status_code == 200, set_.text
    with closing(Github(base_url=f"{forge.url}/api/v3", auth=Auth.Token(FORGE_TOKEN))) as github:
        yield await asyncio.to_thread(github.get_repo, slug)


async def branch(repository: Repository, *names: str) -> str:
    """New branches at the tip of main; its sha."""

    def make() -> str:
        sha = repository.get_branch("main").commit.sha
        for name in names:
            repository.create_git_ref(f"refs/heads/{name}", sha)
        return sha

    return await asyncio.to_thread(make)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_they_are_listed_by_prefix_page_by_page(
    here: httpx.AsyncClient, repository: Repository
) -> None:
    sha = await branch(repository, "feature/a", "feature/b", "feature/c", "old/feature/d")
    call = ContractClient(here)
    every: list[dict[str, Any]] = await call("listBranches")
    assert [each["name"] for each in every] == [
        "feature/a",
        "feature/b",
        "feature/c",
        "main",
        "old/feature/d",
    ]
    assert every[0] == {
        "id": "feature/a",
        "_id": "feature/a",
        "name": "feature/a",
        "sha": sha,
        "author": every[0]["author"],
        "committedAt": every[0]["committedAt"],
        "isProtected": False,
        "isDefault": False,
    }
    assert [each["isDefault"] for each in every] == [False, False, False, True, False]
    first = (await here.get("/branches", params={"prefix": "feature/", "limit": 2})).json()
    assert ([each["name"] for each in first["data"]], first["hasMore"]) == (["feature/a", "feature/b"], True)
    query = {"prefix": "feature/", "limit": "2", "cursor": first["nextCursor"]}
    second = (await here.get("/branches", params=query)).json()
    assert [each["name"] for each in second["data"]] == ["feature/c"]
    assert (second["hasMore"], second["nextCursor"]) == (False, None)
    foreign = await here.get("/branches", params={**query, "prefix": "old/"})
    assert (foreign.status_code, foreign.json()["error"]["field"]) == (400, "cursor")


async def test_one_is_deleted(
    here: httpx.AsyncClient, repository: Repository, stranger: httpx.AsyncClient
) -> None:
    sha = await branch(repository, "feature/dark-mode", "plain")
    gone = await ContractClient(here)("deleteBranch", path=quote("feature/dark-mode", safe=""))
    assert (gone["name"], gone["sha"], gone["isProtected"]) == ("feature/dark-mode", sha, False)
    assert code(await here.delete("/branches/feature%2Fdark-mode")) == (404, "NOT_FOUND")
    assert (await here.delete("/branches/plain")).status_code == 200
    for unknown in ("never", "a/b", "%2e%2e%2f%2e%2e", "a%00", ""):
        assert code(await here.delete(f"/branches/{unknown}")) == (404, "NOT_FOUND")
    assert code(await here.delete("/branches/main")) == (403, "FORBIDDEN")
    assert (await asyncio.to_thread(repository.get_branch, "main")).commit.sha == sha
    assert code(await stranger.delete("/branches/main")) == (409, "CONFLICT")


async def test_a_protected_one_is_kept(here: httpx.AsyncClient, repository: Repository) -> None:
    await branch(repository, "release/1")

    def protect() -> None:
        repository.get_branch("release/1").edit_protection(enforce_admins=True)

    await asyncio.to_thread(protect)
    [shown] = (await here.get("/branches", params={"prefix": "release/"})).json()["data"]
    assert shown["isProtected"] is True
    refused = await here.delete("/branches/release%2F1")
    assert code(refused) == (403, "FORBIDDEN")
    assert "protected" in refused.json()["error"]["message"]
    assert await asyncio.to_thread(repository.get_branch, "release/1")


async def test_what_is_not_set_is_said(client: httpx.AsyncClient) -> None:
    for ask in (client.get("/branches"), client.delete("/branches/x")):
        answer = await ask
        assert code(answer) == (409, "CONFLICT")
        assert "/api/v1/project/update" in answer.json()["error"]["message"]
    await client.post("/project/update", json={"githubRepoUrl": "https://github.com/org/repo"})
    for ask in (client.get("/branches"), client.delete("/branches/x")):
        answer = await ask
        assert code(answer) == (409, "CONFLICT")
        assert "GITHUB_TOKEN" in answer.json()["error"]["message"]


LIMIT = CannedResponse(403, {"message": "You have exceeded a secondary rate limit"}, {"retry-after": "17"})


@pytest.mark.parametrize(
    ("answer", "wanted", "wait"),
    [
        (LIMIT, (429, "RATE_LIMITED"), "17"),
        (CannedResponse(401, {"message": "Bad credentials"}), (502, "UPSTREAM_ERROR"), None),
        (CannedResponse(404, {"message": "Not Found"}), (502, "UPSTREAM_ERROR"), None),
        (CannedResponse(500, "<html>oops</html>"), (502, "UPSTREAM_ERROR"), None),
    ],
)
async def test_githubs_failures_are_told_as_such(
    api_settings: Settings,
    project: ProjectKey,
    answer: CannedResponse,
    wanted: tuple[int, str],
    wait: str | None,
) -> None:
    token = f"ghp_{uuid4().hex}"
    with run_canned_server(answer) as server:
        update = {"github_url": server.url, "github_api_url": server.url}
        async with running(api_settings.model_copy(update=update)) as app, client_of(app, project) as client:
            await client.post("/project/update", json={"githubRepoUrl": f"{server.url}/org/repo"})
            await client.post("/project/provider-keys/set", json={"provider": "github", "key": token})
            refused = await client.get("/branches")
            assert code(refused) == wanted
            assert refused.json()["error"]["retryable"] is True
            assert refused.headers.get("retry-after") == wait
            assert token not in refused.text
            asked = len(server.asked)
            again = await client.delete("/branches/x")
            assert code(again) == wanted
            assert (len(server.asked) == asked) is (wait is not None), "a limit is kept without asking"


async def test_a_github_that_cannot_be_reached(api_settings: Settings, project: ProjectKey) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    update = {"github_url": url, "github_api_url": url, "github_token": SecretStr("ghp_unused")}
    async with running(api_settings.model_copy(update=update)) as app, client_of(app, project) as client:
        await client.post("/project/update", json={"githubRepoUrl": f"{url}/org/repo"})
        assert code(await client.get("/branches")) == (502, "UPSTREAM_ERROR")
