"""Merges as they are asked for: who asked for what, one at a time, and never lost."""

from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from kit.database import Database
from kit.ids import new_id
from models import Event, MergeJob, Run
from models.merging.merge_job import MergeStatus
from models.runs.run import PrStatus
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.unit.api.runs.test_runs import start

URL = "https://github.com/org/repo/pull/42"


@pytest.fixture
async def run_id(client: httpx.AsyncClient, database: Database, run_body: dict[str, str]) -> str:
    """A run with an open pull request."""
    run_id = str((await start(client, run_body))["id"])
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id, with_for_update=True)
        run.pr_status, run.pr_number, run.pr_url, run.base_branch = PrStatus.created, 42, URL, "main"
    return run_id


async def merge(client: httpx.AsyncClient, run_id: str, **body: object) -> httpx.Response:
    return await client.post(f"/pull-requests/{run_id}/merge", json=body)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_merge_says_who_asked_for_what(
    client: httpx.AsyncClient, run_id: str, project: ProjectKey, database: Database
) -> None:
    made: dict[str, Any] = await ContractClient(client)(
        "mergePullRequest", {"mergeStrategy": "rebase", "skipCiCheck": True}, path=run_id
    )
    job_id = made["mergeJobId"]
    assert job_id.startswith("mj_")
    assert made == {
        "id": job_id,
        "_id": job_id,
        "mergeJobId": job_id,
        "kind": "pull_request",
        "name": "Merge #42",
        "status": "running",
        "currentStepProgress": None,
        "costUsd": 0,
        "tokenUsage": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "runId": run_id,
        "repositorySlug": "org/repo",
        "pullRequests": [{"prUrl": URL, "prNumber": 42}],
        "baseBranch": "main",
        "prUrl": URL,
        "conflicts": [],
        "mergeStrategy": "rebase",
        "skipCiCheck": True,
        "requestedBy": project.member_id,
        "headSha": None,
        "mergeSha": None,
        "waiting": None,
        "error": None,
        "budget": {"capUsd": None, "spentUsd": 0, "reservedUsd": 0},
        "createdAt": made["createdAt"],
        "startedAt": made["startedAt"],
        "completedAt": None,
    }
    async with database.transaction() as session:
        of_run = (col(Event.subject_id) == run_id) & (col(Event.type) == "pr.merge-requested")
        [event] = (await session.exec(select(Event).where(of_run))).all()
    assert event.data == {
        "mergeJobId": job_id,
        "mergeStrategy": "rebase",
        "skipCiCheck": True,
        "requestedBy": project.member_id,
    }


async def test_one_at_a_time(client: httpx.AsyncClient, run_id: str, database: Database) -> None:
    """Without a body it is a squash that heeds CI."""
    first = (await client.post(f"/pull-requests/{run_id}/merge")).json()["data"]
    assert (first["mergeStrategy"], first["skipCiCheck"]) == ("squash", False)
    again = await merge(client, run_id, skipCiCheck=True)
    assert code(again) == (409, "CONFLICT")
    assert first["id"] in again.json()["error"]["message"]
    async with database.transaction() as session:
        (await session.get_one(MergeJob, first["id"], with_for_update=True)).close(MergeStatus.failed)
    assert (await merge(client, run_id)).status_code == 201


async def test_what_cannot_be_merged(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, run_id: str, run_body: dict[str, str]
) -> None:
    without = (await start(client, run_body))["id"]
    assert code(await merge(client, without)) == (409, "CONFLICT")
    assert code(await merge(client, new_id("r"))) == (404, "NOT_FOUND")
    assert code(await merge(stranger, run_id)) == (404, "NOT_FOUND")
    for field, value in {"mergeStrategy": "octopus", "skipCiCheck": "yes", "sha": "x"}.items():
        refused = await merge(client, run_id, **{field: value})
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, field)


async def test_jobs_are_listed_and_found(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, run_id: str
) -> None:
    made = (await merge(client, run_id)).json()["data"]
    call = ContractClient(client)
    shown = {name: value for name, value in made.items() if name != "mergeJobId"}
    assert await call("getMergeJob", id=made["id"]) == shown
    assert await call("listMergeJobs") == [shown]
    assert await call("listMergeJobs", runId=run_id, status="running") == [shown]
    assert await call("listMergeJobs", status="completed") == []
    assert (await stranger.get("/merging/list")).json()["data"] == []
    assert code(await stranger.get("/merging/get", params={"id": made["id"]})) == (404, "NOT_FOUND")


async def test_without_the_engine_it_waits(unplugged: httpx.AsyncClient, run_id: str) -> None:
    made = await merge(unplugged, run_id)
    assert (made.status_code, made.json()["data"]["status"]) == (201, "pending")


PULLS = [{"prUrl": f"https://github.com/org/repo/pull/{number}", "prNumber": number} for number in (1, 2)]


async def test_a_merge_of_several_is_as_documented(client: httpx.AsyncClient, project: ProjectKey) -> None:
    ask = ContractClient(client)
    job = await ask("startMergeOfPullRequests", {"pullRequests": PULLS, "baseBranch": "main", "config": {}})
    assert (job["status"], job["kind"], job["name"]) == ("running", "integration", "Merge #1 and #2")
    assert [{"prUrl": each["prUrl"], "prNumber": each["prNumber"]} for each in job["pullRequests"]] == PULLS
    assert (job["repositorySlug"], job["baseBranch"], job["prUrl"]) == ("org/repo", "main", None)
    assert (job["conflicts"], job["requestedBy"]) == ([], project.member_id)
    assert job == await ask("getMergeJob", id=job["id"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pullRequests": []}, "pullRequests"),
        ({"pullRequests": [PULLS[0], PULLS[0]]}, "pullRequests"),
        ({"pullRequests": [PULLS[0], {**PULLS[1], "prNumber": 3}]}, "pullRequests.1"),
        (
            {"pullRequests": [{"prUrl": "https://github.com/org/repo/issues/1", "prNumber": 1}]},
            "pullRequests.0",
        ),
        ({"pullRequests": [{"prUrl": "https://evil.example/o/r/pull/1", "prNumber": 1}]}, "pullRequests"),
        (
            {"pullRequests": [PULLS[0], {"prUrl": "https://github.com/org/other/pull/2", "prNumber": 2}]},
            "pullRequests",
        ),
        ({"config": {"depth": 1}}, "config.depth"),
        ({"config": {"checkCommand": ""}}, "config.checkCommand"),
    ],
)
async def test_what_a_merge_of_several_cannot_be(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str
) -> None:
    answer = await client.post("/merging/start", json={"pullRequests": PULLS, **changes})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
    assert (await client.get("/merging/list")).json()["data"] == []


async def test_without_the_engine_a_merge_of_several_waits(unplugged: httpx.AsyncClient) -> None:
    answer = await unplugged.post("/merging/start", json={"pullRequests": PULLS})
    assert (answer.status_code, answer.json()["data"]["status"]) == (201, "pending")
