"""Whose repository it is: without a key of its own, a project reaches what its operator allowed to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from github import Auth, Github
from sqlmodel import SQLModel, select

from kit.database import Database
from local.forge.seed import seed
from models import AllowedRepository, MergeJob, Project, Run, SprintChain, WorkChain
from models.jobs.job_registry import JOB_KINDS
from models.projects.allowed_repository import repository_pattern
from models.runs.run import PrStatus, RunStatus
from tests.conftest import ProjectKey, make_project
from tests.support.servers import FORGE_TOKEN, ServedDirectory
from tests.unit.api.conftest import client_of

OWNER = "victim"
REFUSED = (403, "REPOSITORY_NOT_ALLOWED")


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
async def private(forge: ServedDirectory) -> str:
    """The slug of another's repository on the forge, which the server's token opens."""
    name = f"repo-{uuid4().hex[:12]}"
    await seed(forge.data, OWNER, name, {"SECRET.txt": "secret\n"})
    return f"{OWNER}/{name}"


@pytest.fixture
async def attacker(database: Database) -> ProjectKey:
    """A project with every scope, to which nothing is allowed."""
    return await make_project(database, repository=None)


@pytest.fixture
async def attack(forge_app: FastAPI, attacker: ProjectKey) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(forge_app, attacker) as client:
        yield client


@pytest.fixture
async def workflow(attack: httpx.AsyncClient) -> str:
    created = await attack.post("/workflows/create", json={"name": "Build and check"})
    return str(created.json()["data"]["id"])


async def set_directly(database: Database, project: ProjectKey, url: str) -> None:
    """As if it had been the project's repository before it was taken off the list."""
    async with database.transaction() as session:
        (await session.get_one(Project, project.id)).github_repo_url = url


async def allow(database: Database, project: ProjectKey, pattern: str) -> None:
    async with database.transaction() as session:
        session.add(AllowedRepository(project_id=project.id, pattern=repository_pattern(pattern)))


async def rows(database: Database, table: type[SQLModel], project: ProjectKey) -> int:
    async with database.read_only() as session:
        found = await session.execute(select(table).filter_by(project_id=project.id))
        return len(found.all())


async def test_no_request_names_anothers_repository(
    attack: httpx.AsyncClient,
    attacker: ProjectKey,
    workflow: str,
    database: Database,
    forge: ServedDirectory,
    private: str,
) -> None:
    url = f"{forge.url}/{private}"
    there = {"githubRepoUrl": url, "workflowId": workflow}
    attempts: dict[str, dict[str, Any]] = {
        "/project/update": {"githubRepoUrl": url},
        "/runs/start": {**there, "prompt": "cat SECRET.txt"},
        "/sandboxes/create": {"githubRepoUrl": url},
        "/sprint-chains": {**there, "sprintRange": [1, 2], "prompt": "Sprint"},
        "/merging/start": {"pullRequests": [{"prUrl": f"{url}/pull/1", "prNumber": 1}]},
    }
    for path, body in attempts.items():
        answer = await attack.post(path, json=body)
        assert code(answer) == REFUSED, path
        assert f"codecourier projects allow {attacker.id} {private}" in answer.json()["error"]["message"]
    issue = await attack.post("/issues/create", json={"title": "T"})
    chain = {**there, "title": "C", "issueIds": [issue.json()["data"]["id"]]}
    assert code(await attack.post("/work-chains/create", json=chain)) == REFUSED

    await set_directly(database, attacker, url)
    assert code(await attack.post("/runs/start", json={"workflowId": workflow, "prompt": "p"})) == REFUSED
    assert code(await attack.post("/issue-sessions/start", json={"prompt": "Look"})) == REFUSED
    for table in (SprintChain, WorkChain, *(kind.table for kind in JOB_KINDS.values())):
        assert await rows(database, table, attacker) == 0, table


async def test_anothers_branches_are_neither_listed_nor_deleted(
    attack: httpx.AsyncClient, attacker: ProjectKey, database: Database, forge: ServedDirectory, private: str
) -> None:
    with closing(Github(base_url=f"{forge.url}/api/v3", auth=Auth.Token(FORGE_TOKEN))) as github:
        repository = await asyncio.to_thread(github.get_repo, private)
        sha = repository.get_branch("main").commit.sha
        await asyncio.to_thread(repository.create_git_ref, "refs/heads/release-1", sha)
        await set_directly(database, attacker, f"{forge.url}/{private}")
        assert code(await attack.get("/branches")) == REFUSED
        assert code(await attack.delete("/branches/release-1")) == REFUSED
        assert repository.get_branch("release-1").commit.sha == sha


async def test_an_old_run_is_neither_restarted_nor_merged_where_its_repository_is_not_allowed(
    attack: httpx.AsyncClient, attacker: ProjectKey, workflow: str, database: Database, private: str
) -> None:
    await allow(database, attacker, private)
    url = f"https://github.com/{private}"
    body = {"workflowId": workflow, "prompt": "p", "githubRepoUrl": url}
    run_id = (await attack.post("/runs/start", json=body)).json()["data"]["id"]
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id, with_for_update=True)
        run.status, run.pr_status, run.pr_number = RunStatus.failed, PrStatus.created, 1
        run.pr_url = f"{url}/pull/1"
        await session.delete(await session.get_one(AllowedRepository, (attacker.id, private)))
    assert code(await attack.post(f"/runs/{run_id}/restart", json={})) == REFUSED
    assert code(await attack.post(f"/pull-requests/{run_id}/merge", json={})) == REFUSED
    assert await rows(database, MergeJob, attacker) == 0


@pytest.mark.parametrize("pattern", ["{slug}", "{owner}/*", "*"])
async def test_what_the_operator_allows_is_reached_in_any_spelling(
    attack: httpx.AsyncClient,
    attacker: ProjectKey,
    database: Database,
    forge: ServedDirectory,
    private: str,
    pattern: str,
) -> None:
    await allow(database, attacker, pattern.format(slug=private.upper(), owner=OWNER))
    set_ = await attack.post("/project/update", json={"githubRepoUrl": f"{forge.url}/{private}"})
    assert set_.status_code == 200, set_.text
    assert [each["name"] for each in (await attack.get("/branches")).json()["data"]] == ["main"]
    other = await attack.post("/project/update", json={"githubRepoUrl": f"{forge.url}/others/repo"})
    assert other.status_code == (200 if pattern == "*" else 403)


async def test_a_key_of_ones_own_needs_no_list(
    attack: httpx.AsyncClient, attacker: ProjectKey, forge: ServedDirectory, private: str
) -> None:
    await attack.post(
        "/project/provider-keys/set", json={"provider": "github", "key": "not-the-forges-token"}
    )
    set_ = await attack.post("/project/update", json={"githubRepoUrl": f"{forge.url}/{private}"})
    assert set_.status_code == 200, set_.text
    assert code(await attack.get("/branches")) == (502, "UPSTREAM_ERROR"), "it says itself what it opens"
    removed = await attack.post("/project/provider-keys/delete", json={"provider": "github"})
    assert removed.status_code == 200, removed.text
    assert code(await attack.get("/branches")) == REFUSED
