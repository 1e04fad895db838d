"""Hooks for GitHub: made, rotated and deleted, and whose rows what comes in by them may touch."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from kit.crypto import Vault, signature
from kit.database import Database
from kit.settings import Settings
from models import GithubHook, Run
from models.base import now
from models.github.hint import PULL_REQUEST, find_hints
from models.github.hook import MAX_HOOKS
from models.runs.run import PrStatus
from tests.support.contract_client import ContractClient
from tests.unit.api.conftest import SHA, client_of


@pytest.fixture
def call(client: httpx.AsyncClient) -> ContractClient:
    return ContractClient(client)


async def a_hook(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/github/hooks", json={})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def send(
    app: FastAPI, path: str, secret: str, event: str, payload: object, delivery: str = ""
) -> httpx.Response:
    """What GitHub does."""
    body = json.dumps(payload).encode()
    headers = {
        "X-Hub-Signature-256": f"sha256={signature(secret, body)}",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid4()),
    }
    async with client_of(app) as http:
        return await http.post(f"http://test{path}", content=body, headers=headers)


def merged(run: Run) -> dict[str, Any]:
    pull = {"number": run.pr_number, "merged": True, "sent": str(uuid4())}
    repository = {"full_name": run.repository_slug}
    return {"action": "closed", "pull_request": pull, "repository": repository}


async def hinted(database: Database, run: Run) -> list[str]:
    async with database.transaction() as session:
        return [hint.left_sha for hint in await find_hints(session, run.id)]


async def test_a_hook_from_its_making_to_its_end(
    call: ContractClient, app: FastAPI, run: Run, database: Database, settings: Settings
) -> None:
    made = await call("createGithubHook", {"description": "org/repo"})
    assert made["path"] == f"/github/webhook/{made['id']}"
    shown = await call("getGithubHook", path=made["id"])
    assert {**shown, "secret": made["secret"]} == made
    assert [each["id"] for each in await call("listGithubHooks")] == [made["id"]]
    async with database.transaction() as session:
        row = await session.get_one(GithubHook, made["id"])
    assert made["secret"] not in row.model_dump_json()
    assert Vault(settings.encryption_keys.get_secret_value()).open(row.secret) == made["secret"]
    answer = await send(app, made["path"], made["secret"], "pull_request", merged(run))
    assert answer.json() == {"data": {"status": "accepted"}}
    assert await hinted(database, run) == [PULL_REQUEST]
    assert (await call("deleteGithubHook", path=made["id"]))["id"] == made["id"]
    gone = await send(app, made["path"], made["secret"], "pull_request", merged(run))
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_replaced_secret_is_taken_for_a_day(
    call: ContractClient, app: FastAPI, run: Run, database: Database
) -> None:
    made = await call("createGithubHook", {})
    rotated = await call("rotateGithubHookSecret", path=made["id"])
    assert rotated["secret"] != made["secret"]
    assert rotated["oldSecretsUntil"] is not None

    async def status(secret: str) -> int:
        answer = await send(app, made["path"], secret, "pull_request", merged(run))
        return answer.status_code

    assert [await status(each["secret"]) for each in (made, rotated)] == [200, 200]
    assert await status("neither") == 401
    async with database.transaction() as session:
        row = await session.get_one(GithubHook, made["id"])
        past = (now() - timedelta(seconds=1)).isoformat()
        row.replaced_secrets = [{**each, "until": past} for each in row.replaced_secrets]
    assert [await status(each["secret"]) for each in (made, rotated)] == [401, 200]
    assert (await call("getGithubHook", path=made["id"]))["oldSecretsUntil"] is None


async def test_a_forged_delivery_changes_no_other_projects_rows(
    stranger: httpx.AsyncClient, app: FastAPI, run: Run, database: Database
) -> None:
    """Project B, with a hook and a secret of its own, tells of A's repository."""
    theirs = await a_hook(stranger)
    repository = {"repository": {"full_name": run.repository_slug}}
    forged = {
        "pull_request": merged(run),
        "check_run": {"check_run": {"head_sha": SHA}, **repository},
        "push": {"ref": f"refs/heads/{run.branch_name}", "before": SHA, "after": "b" * 40, **repository},
    }
    for event, payload in forged.items():
        answer = await send(app, theirs["path"], theirs["secret"], event, payload)
        assert answer.json() == {"data": {"status": "accepted"}}, "it learns nothing of others either"
    assert await hinted(database, run) == []
    async with database.transaction() as session:
        assert (await session.get_one(Run, run.id)).pr_status is PrStatus.created


async def test_a_hooks_secret_opens_no_other_hook(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, app: FastAPI, run: Run, database: Database
) -> None:
    ours, theirs = await a_hook(client), await a_hook(stranger)
    for path, secret in ((ours["path"], theirs["secret"]), ("/github/webhook", theirs["secret"])):
        answer = await send(app, path, secret, "pull_request", merged(run))
        assert answer.status_code in (401, 404)
    assert await hinted(database, run) == []


async def test_a_delivery_id_is_used_up_for_its_own_hook_only(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, app: FastAPI, run: Run, database: Database
) -> None:
    """B sends first what A's delivery will be called: GitHub signs no ids."""
    ours, theirs, delivery, payload = await a_hook(client), await a_hook(stranger), str(uuid4()), merged(run)
    for hook in (theirs, ours):
        answer = await send(app, hook["path"], hook["secret"], "pull_request", payload, delivery)
        assert answer.json() == {"data": {"status": "accepted"}}
    assert await hinted(database, run) == [PULL_REQUEST]


async def test_a_replayed_delivery_is_taken_once(
    client: httpx.AsyncClient, app: FastAPI, run: Run, database: Database
) -> None:
    hook, payload = await a_hook(client), merged(run)
    answers = [await send(app, hook["path"], hook["secret"], "pull_request", payload) for _ in range(3)]
    statuses = [answer.json()["data"]["status"] for answer in answers]
    assert statuses == ["accepted", "repeated", "repeated"]


async def test_hooks_of_other_projects_are_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    made = await a_hook(client)
    url = f"/github/hooks/{made['id']}"
    answers = [
        await stranger.get(url),
        await stranger.delete(url),
        await stranger.post(f"{url}/rotate-secret"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert (await stranger.get("/github/hooks")).json()["data"] == []


@pytest.mark.parametrize("hook_id", ["ghk_" + "0" * 32, "ghk_", "x", "whe_" + "0" * 32])
async def test_a_hook_that_is_not_there(app: FastAPI, hook_id: str) -> None:
    answer = await send(app, f"/github/webhook/{hook_id}", "any", "ping", {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_project_has_so_many_hooks(client: httpx.AsyncClient) -> None:
    for _ in range(MAX_HOOKS):
        await a_hook(client)
    answer = await client.post("/github/hooks", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
