"""Sandboxes of one's own: accepted, bounded, refused with a reason.

`tests/integration/sandboxes` plays what happens in them.
"""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import col, select

from kit.database import Database
from kit.errors import Conflict
from kit.ids import new_id
from models import FollowUp, IssueSession, JobSnapshot, Sandbox, SandboxJob
from models.sandboxes.sandbox import SandboxStatus
from models.sandboxes.sandbox_job import SandboxJobStatus
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.support.sandbox_deletion import delete_sandbox
from tests.support.waiting import TEST_TIMEOUT_SECONDS

URL = "https://github.com/org/repo"
GIVEN = {
    "githubRepoUrl": URL,
    "name": "Mine",
    "branchName": "feature/x",
    "baseBranch": "main",
    "templateId": "node",
    "memoryMb": 2048,
    "cpuCount": 2,
    "timeoutMs": 120_000,
}


async def create(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/sandboxes/create", json={"githubRepoUrl": URL, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


async def add(database: Database, *rows: Any) -> None:
    async with database.transaction() as session:
        for row in rows:
            session.add(row)
            await session.flush()


async def test_everything_that_is_given_counts(client: httpx.AsyncClient, database: Database) -> None:
    made = await ContractClient(client)("createSandbox", GIVEN)
    assert made["status"] == "creating"
    assert {name: made[name] for name in ("name", "templateId", "memoryMb", "cpuCount", "timeoutMs")} == {
        name: GIVEN[name] for name in ("name", "templateId", "memoryMb", "cpuCount", "timeoutMs")
    }
    assert made["repository"] == {
        "githubRepoUrl": URL,
        "repositorySlug": "org/repo",
        "branchName": "feature/x",
        "baseBranch": "main",
        "baseSha": None,
    }
    async with database.transaction() as session:
        snapshot = await session.get_one(JobSnapshot, made["jobId"])
    sandbox: Any = snapshot.document["config"]
    assert sandbox["sandbox"]["template_id"] == "node"
    assert (snapshot.document["branch_name"], snapshot.document["continues_branch"]) == ("feature/x", True)


async def test_the_repository_is_the_projects_unless_named(client: httpx.AsyncClient) -> None:
    assert error_of(await client.post("/sandboxes/create", json={}), 400)["field"] == "githubRepoUrl"
    await client.post("/project/update", json={"githubRepoUrl": URL})
    made = (await client.post("/sandboxes/create", json={})).json()["data"]
    assert (made["name"], made["repository"]["repositorySlug"]) == ("org/repo", "org/repo")
    assert made["repository"]["branchName"].startswith("codecourier/sandbox-")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("githubRepoUrl", "https://example.com/x"),
        ("branchName", "a..b"),
        ("branchName", "-x"),
        ("baseBranch", "x y"),
        ("timeoutMs", 1),
        ("memoryMb", "2048"),
        ("name", " "),
    ],
)
async def test_what_cannot_be_is_refused(client: httpx.AsyncClient, field: str, value: object) -> None:
    body = {"githubRepoUrl": URL, field: value}
    assert error_of(await client.post("/sandboxes/create", json=body), 400)["field"] == field


async def test_a_project_has_ten_at_most(client: httpx.AsyncClient, database: Database) -> None:
    body = {"githubRepoUrl": URL}
    answers = await asyncio.gather(*(client.post("/sandboxes/create", json=body) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 2
    made = next(answer.json()["data"] for answer in answers if answer.status_code == 201)
    async with database.transaction() as session:
        (await session.get_one(SandboxJob, made["jobId"])).close(SandboxJobStatus.completed)
        (await session.get_one(Sandbox, made["id"])).mark_ended()
    await create(client)
    refused = error_of(await client.post("/sandboxes/create", json=body), 409)
    assert "10 live sandboxes" in refused["message"]


async def test_one_request_is_one_sandbox(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": new_id("key")}
    answers = [
        await client.post("/sandboxes/create", json={"githubRepoUrl": URL}, headers=headers) for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert len((await client.get("/sandboxes/list")).json()["data"]) == 1


async def test_without_the_engine_it_is_kept_for_later(
    unplugged: httpx.AsyncClient, database: Database
) -> None:
    made = await create(unplugged)
    async with database.transaction() as session:
        assert (await session.get_one(SandboxJob, made["jobId"])).status is SandboxJobStatus.pending


async def test_what_is_not_ready_is_a_conflict(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    made = await create(client)
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "files", {}),
        ("GET", "file", {"path": "README.md"}),
        ("GET", "git-diff", {}),
        ("GET", "preview", {}),
        ("POST", "preview/start", {"command": "true", "port": 3000}),
        ("POST", "preview/stop", {}),
    ]

    async def ask(who: httpx.AsyncClient, method: str, path: str, more: dict[str, Any]) -> httpx.Response:
        if method == "GET":
            return await who.get(f"/sandboxes/{path}", params={"id": made["id"], **more})
        return await who.post(f"/sandboxes/{path}", json={"sandboxId": made["id"], **more})

    for method, path, more in asked:
        assert "not ready" in error_of(await ask(client, method, path, more), 409)["message"]
        error_of(await ask(stranger, method, path, more), 404)
    for path, more in (("rename", {"name": "x"}), ("send-message", {"content": "x"})):
        error_of(await ask(stranger, "POST", path, more), 404)
    async with database.transaction() as session:
        (await session.get_one(Sandbox, made["id"])).mark_ended(SandboxStatus.error, "Gone.")
    for method, path, more in asked:
        assert "was lost" in error_of(await ask(client, method, path, more), 409)["message"]


async def test_renamed(client: httpx.AsyncClient) -> None:
    made = await create(client)
    body = {"sandboxId": made["id"], "name": "Other"}
    assert (await ContractClient(client)("renameSandbox", body))["name"] == "Other"
    assert error_of(await client.post("/sandboxes/rename", json={**body, "name": ""}), 400)["field"] == "name"


@pytest.mark.usefixtures("worker")
async def test_a_message_to_the_sandbox_of_a_run_is_the_runs(
    client: httpx.AsyncClient, run_body: dict[str, str], project: ProjectKey, database: Database
) -> None:
    run = (await client.post("/runs/start", json=run_body)).json()["data"]
    sandbox = Sandbox(project_id=project.id, job_id=run["id"], name="s", template_id="base", timeout_ms=1000)
    sandbox.status, sandbox.provider_id = SandboxStatus.running, "provider"
    await add(database, sandbox)
    body = {"sandboxId": sandbox.id, "content": "Mind the tests."}
    sent = await ContractClient(client)("sendSandboxMessage", body)
    assert (sent["runId"], sent["sandboxId"], sent["status"]) == (run["id"], sandbox.id, "queued")
    await client.post(f"/runs/{run['id']}/cancel")
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while (await client.get("/runs/get", params={"id": run["id"]})).json()["data"][
            "status"
        ] != "cancelled":
            await asyncio.sleep(0.1)
    assert "cancelled" in error_of(await client.post("/sandboxes/send-message", json=body), 409)["message"]
    async with database.transaction() as session:
        kept = (await session.exec(select(FollowUp).where(col(FollowUp.job_id) == run["id"]))).all()
    assert [message.content for message in kept] == ["Mind the tests."]


async def test_agents_that_take_no_messages_say_so(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    scan = IssueSession(
        project_id=project.id,
        name="Scan",
        prompt="x",
        github_repo_url=URL,
        repository_slug="org/repo",
        template_id="base",
        timeout_ms=60_000,
    )
    sandbox = Sandbox(project_id=project.id, job_id=scan.id, name="s", template_id="base", timeout_ms=1000)
    await add(database, scan, sandbox)
    body = {"sandboxId": sandbox.id, "content": "Hello"}
    assert (
        "takes no messages"
        in error_of(await client.post("/sandboxes/send-message", json=body), 409)["message"]
    )


async def test_a_pending_one_ends_at_once(
    app: FastAPI, unplugged: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    made = await create(unplugged)
    for _ in range(2):
        await delete_sandbox(app, project, made["id"])
    async with database.transaction() as session:
        job = await session.get_one(SandboxJob, made["jobId"])
        assert job.status is SandboxJobStatus.cancelled
        assert (await session.get_one(Sandbox, made["id"])).status is SandboxStatus.killed


async def test_one_of_a_live_run_is_not_ended_here(
    app: FastAPI,
    client: httpx.AsyncClient,
    run_body: dict[str, str],
    project: ProjectKey,
    database: Database,
) -> None:
    run = (await client.post("/runs/start", json=run_body)).json()["data"]
    sandbox = Sandbox(project_id=project.id, job_id=run["id"], name="s", template_id="base", timeout_ms=1000)
    await add(database, sandbox)
    with pytest.raises(Conflict, match="cancel that first"):
        await delete_sandbox(app, project, sandbox.id)
