"""GitHub's webhook: who may speak, what is heeded, and that saying it twice changes nothing."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from api.http.request import MAX_BODY_BYTES
from kit.crypto import signature
from kit.database import Database
from kit.settings import Settings
from models import GithubDelivery, Run, Verification
from models.github.hint import PULL_REQUEST, find_hints
from models.github.webhook_targets import find_check_waiters
from models.runs.run import PrStatus
from models.verification.verification import VerificationStatus
from tests.unit.api.conftest import SHA, client_of, running

SECRET = "webhook-secret-of-the-tests"
URL = "http://test/github/webhook"


@dataclass
class Hook:
    """Speaks as GitHub does."""

    http: httpx.AsyncClient

    async def __call__(self, event: str, payload: object, *, delivery: str | None = None) -> httpx.Response:
        return await self.raw(json.dumps(payload).encode(), event=event, delivery=delivery)

    async def raw(self, body: bytes, **headers: str | None) -> httpx.Response:
        event, delivery = headers.get("event"), headers.get("delivery")
        signed = {"X-Hub-Signature-256": f"sha256={signature(SECRET, body)}"}
        named = {"X-GitHub-Event": event or "check_run", "X-GitHub-Delivery": delivery or str(uuid4())}
        return await self.http.post(URL, content=body, headers={**signed, **named})


@pytest.fixture
async def hook(api_settings: Settings) -> AsyncIterator[Hook]:
    settings = api_settings.model_copy(update={"github_webhook_secret": SecretStr(SECRET)})
    async with running(settings) as app, client_of(app) as http:
        yield Hook(http)


def closed(run: Run, *, merged: bool = True, number: int = 7) -> dict[str, Any]:
    pull = {"number": number, "merged": merged, "merge_commit_sha": "b" * 40, "title": "More is ignored"}
    return {
        "action": "closed",
        "pull_request": pull,
        "repository": {"full_name": run.repository_slug.lower()},
    }


def check_run(slug: str, sha: str = SHA) -> dict[str, Any]:
    return {"action": "completed", "check_run": {"head_sha": sha}, "repository": {"full_name": slug}}


async def hinted(database: Database, run: Run) -> list[str]:
    """What is to be read on GitHub of a run."""
    async with database.transaction() as session:
        return sorted(hint.left_sha for hint in await find_hints(session, run.id))


async def test_a_merge_elsewhere_is_a_hint_and_noted_once(hook: Hook, run: Run, database: Database) -> None:
    """A delivery alone makes no row say that it is merged; the same body is the same under a new id."""
    delivery = str(uuid4())
    answers = [await hook("pull_request", closed(run), delivery=delivery) for _ in range(2)]
    answers.append(await hook("pull_request", closed(run)))
    answers.append(await hook("pull_request", {**closed(run), "sender": "another"}))
    statuses = [answer.json()["data"]["status"] for answer in answers]
    assert statuses == ["accepted", "repeated", "repeated", "accepted"]
    assert await hinted(database, run) == [PULL_REQUEST]
    async with database.transaction() as session:
        assert (await session.get_one(Run, run.id)).pr_status is PrStatus.created


@pytest.mark.parametrize("change", [{"merged": False}, {"number": 8}])
async def test_other_ends_are_no_merge(
    hook: Hook, run: Run, database: Database, change: dict[str, Any]
) -> None:
    assert (await hook("pull_request", closed(run, **change))).status_code == 200
    assert await hinted(database, run) == []


async def test_what_is_merged_is_not_looked_into_again(hook: Hook, run: Run, database: Database) -> None:
    async with database.transaction() as session:
        (await session.get_one(Run, run.id, with_for_update=True)).mark_pr_merged()
    assert (await hook("pull_request", closed(run))).json()["data"] == {"status": "accepted"}
    assert await hinted(database, run) == []


@pytest.mark.parametrize("event", ["push", "pull_request"])
async def test_a_verified_commit_that_was_left_is_a_hint(
    hook: Hook, run: Run, database: Database, event: str
) -> None:
    """No more than a hint, and only where there is something to void."""
    moved = {"ref": f"refs/heads/{run.branch_name}", "before": SHA, "after": "b" * 40}
    synchronized = {"action": "synchronize", "pull_request": {"number": 7}, "before": SHA, "after": "b" * 40}
    payload = moved if event == "push" else synchronized
    payload = {**payload, "repository": {"full_name": run.repository_slug}}
    assert (await hook(event, payload)).json()["data"] == {"status": "accepted"}
    assert await hinted(database, run) == []
    verified = Verification(run_id=run.id, number=1, commit_sha=SHA, command="true", timeout_ms=1000)
    verified.status = VerificationStatus.passed
    async with database.transaction() as session:
        session.add(verified)
    assert (await hook(event, {**payload, "again": True})).json()["data"] == {"status": "accepted"}
    assert await hinted(database, run) == [SHA]
    async with database.transaction() as session:
        row = await session.get_one(Verification, verified.id)
        assert row.status is VerificationStatus.passed


async def test_whom_a_check_concerns(
    hook: Hook, client: httpx.AsyncClient, worker: None, run: Run, database: Database
) -> None:
    """Live runs of this commit in this repository; their workflow hears of it."""

    async def waiting(slug: str, sha: str = SHA, project_id: str | None = None) -> list[str]:
        async with database.transaction() as session:
            return await find_check_waiters(session, project_id, slug, sha)

    assert await waiting(run.repository_slug.upper()) == [run.id]
    assert await waiting("org/other") == await waiting(run.repository_slug, "b" * 40) == []
    assert await waiting(run.repository_slug, project_id=run.project_id) == [run.id]
    assert await waiting(run.repository_slug, project_id="prj_" + "0" * 32) == []
    suite = {"action": "completed", "check_suite": {"head_sha": SHA}}
    repository = {"repository": {"full_name": run.repository_slug}}
    for event, payload in {
        "check_run": check_run(run.repository_slug),
        "check_suite": {**suite, **repository},
        "status": {"sha": SHA, "state": "success", **repository},
    }.items():
        answer = await hook(event, payload)
        assert answer.json() == {"data": {"status": "accepted"}}
    assert (await client.post(f"/runs/{run.id}/graceful-stop")).status_code == 200


async def test_a_wrong_signature_learns_nothing(hook: Hook, run: Run, database: Database) -> None:
    body, delivery = json.dumps(closed(run)).encode(), str(uuid4())
    headers = {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": delivery}
    answers = [await hook.http.post(URL, content=body, headers=headers)]
    for wrong in (signature("another", body), f"sha256={signature('another', body)}", "", "sha256=", "é"):
        given = {**headers, "X-Hub-Signature-256": wrong.encode()}
        answers.append(await hook.http.post(URL, content=body, headers=given))  # type: ignore[arg-type]
    answers.append(await hook.http.post(URL, content=body + b" ", headers=headers))
    assert {answer.status_code for answer in answers} == {401}
    codes = [answer.json()["error"]["code"] for answer in answers]
    assert codes == ["AUTH_MISSING", *["AUTH_INVALID"] * 5, "AUTH_MISSING"]
    async with database.transaction() as session:
        assert (await session.get_one(Run, run.id)).pr_status is PrStatus.created
        assert await session.get(GithubDelivery, delivery) is None


async def test_what_is_not_heeded(hook: Hook) -> None:
    for event in ("ping", "create", "issues", "nothing-known"):
        answer = await hook(event, {"zen": "Keep it logically awesome."})
        assert (answer.status_code, answer.json()["data"]) == (200, {"status": "ignored"})
    assert (await hook("check_run", check_run("no/body"))).json()["data"] == {"status": "accepted"}


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"check_run": {"head_sha": SHA}}, "repository"),
        (check_run("no-owner"), "repository.full_name"),
        (check_run("a/b\0c"), "repository.full_name"),
        (check_run("a/b", sha="main"), "check_run.head_sha"),
        ([], None),
    ],
)
async def test_a_payload_that_is_none(hook: Hook, payload: object, field: str | None) -> None:
    error = (await hook("check_run", payload)).json()["error"]
    assert (error["code"], error.get("field")) == ("VALIDATION", field)


async def test_bodies_that_cannot_be(hook: Hook) -> None:
    form = await hook.raw(b"payload=%7B%7D")
    assert (form.status_code, form.json()["error"]["code"]) == (400, "VALIDATION")
    large = await hook.raw(b" " * (MAX_BODY_BYTES + 1))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    body = json.dumps(check_run("a/b")).encode()
    signed = {"X-Hub-Signature-256": f"sha256={signature(SECRET, body)}", "X-GitHub-Event": "check_run"}
    without = await hook.http.post(URL, content=body, headers=signed)
    assert (without.status_code, without.json()["error"]["field"]) == (400, "X-GitHub-Delivery")


async def test_without_a_secret_there_is_no_webhook(client: httpx.AsyncClient) -> None:
    answer = await client.post(URL, content=b"{}", headers={"X-Hub-Signature-256": "sha256=00"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert "GITHUB_WEBHOOK_SECRET" in answer.json()["error"]["message"]
