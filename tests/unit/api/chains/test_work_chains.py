"""Work chains by REST, with the real workflow and runs that wait until they are stopped."""

import asyncio
from typing import Any

import httpx
import pytest

from activities.jobs.lifecycle import CloseJob, JobResult
from activities.runs.lifecycle import RunActivities
from kit.database import Database
from kit.ids import new_id
from tests.support.contract_client import ContractClient
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.unit.api.issues.test_issues import created as an_issue
from tests.unit.api.issues.test_issues import events_of, get, linked
from tests.unit.api.runs.test_runs import reaches as run_reaches
from tests.unit.api.runs.test_runs import start as start_run

Body = dict[str, Any]
URL = "https://github.com/org/repo"


@pytest.fixture
async def issues(client: httpx.AsyncClient) -> list[Body]:
    """Three issues, of which a chain takes the newest first."""
    return [await an_issue(client, title=f"Issue {number}") for number in (3, 2, 1)][::-1]


@pytest.fixture
async def body(workflow: str, issues: list[Body]) -> Body:
    return {
        "title": "Security Fix Chain",
        "description": "Fix all security issues found in audit",
        "issueIds": [issue["id"] for issue in issues],
        "workflowId": workflow,
        "githubRepoUrl": URL,
        "branchName": "fix/security-issues",
    }


async def created(client: httpx.AsyncClient, body: Body, **changes: Any) -> Body:
    answer = await client.post("/work-chains/create", json={**body, **changes})
    assert answer.status_code == 201, answer.text
    chain: Body = answer.json()["data"]
    return chain


async def tell(client: httpx.AsyncClient, chain: Body, verb: str, status: int = 200) -> Body:
    answer = await client.post(f"/work-chains/{verb}", json={"chainId": chain["id"]})
    assert answer.status_code == status, answer.text
    told: Body = answer.json()["data" if status < 300 else "error"]
    return told


async def reaches(client: httpx.AsyncClient, chain: Body, status: str, run_at: int = -1) -> Body:
    """The chain, once it is so and has a run at this index."""
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while True:
            row: Body = (await client.get("/work-chains/get", params={"id": chain["id"]})).json()["data"]
            has_run = run_at < 0 or any(row["issueRunIds"][run_at:])
            if row["status"] == status and has_run:
                return row
            await asyncio.sleep(0.02)


async def test_they_are_as_documented(
    client: httpx.AsyncClient, worker: None, body: Body, issues: list[Body]
) -> None:
    ask = ContractClient(client)
    chain = await ask("createWorkChain", body)
    assert {name: chain[name] for name in body} == body
    assert (chain["status"], chain["issueRunIds"], chain["startedAt"]) == ("pending", [], None)
    assert chain == await ask("getWorkChain", id=chain["id"])
    assert [each["id"] for each in await ask("listWorkChains")] == [chain["id"]]
    listed = await ask("listWorkChainIssues", id=chain["id"])
    assert [(each["index"], each["id"]) for each in listed] == list(enumerate(body["issueIds"]))
    assert {each["chainId"] for each in listed} == {chain["id"]}
    told = {"chainId": chain["id"]}
    assert (await ask("startWorkChain", told))["status"] == "running"
    chain = await reaches(client, chain, "running", run_at=0)
    assert (await ask("pauseWorkChain", told))["status"] == "paused"
    assert (await ask("resumeWorkChain", told))["status"] == "running"
    run = (await client.get("/runs/get", params={"id": chain["issueRunIds"][0]})).json()["data"]
    assert (run["source"], run["chainId"], run["name"]) == ("work_chain", chain["id"], "Issue 1")
    assert (run["prompt"], run["baseBranch"]) == (issues[0]["suggestedPrompt"], "fix/security-issues")
    assert (await get(client, issues[0]))["runId"] == run["id"]
    await tell(client, chain, "delete", 409)
    await run_reaches(client, run["id"], "running")
    await ask("cancelWorkChain", told)
    await reaches(client, chain, "cancelled")
    assert (await ask("deleteWorkChain", told))["status"] == "cancelled"
    assert (await client.get("/work-chains/get", params={"id": chain["id"]})).status_code == 404
    assert await ask("listWorkChains") == []
    assert (await get(client, issues[0]))["chainId"] is None


async def test_it_is_cancelled_with_its_run_and_leaves_the_rest(
    client: httpx.AsyncClient, worker: None, body: Body, issues: list[Body], database: Database
) -> None:
    chain = await created(client, body)
    await tell(client, chain, "start", 201)
    row = await reaches(client, chain, "running", run_at=0)
    await run_reaches(client, row["issueRunIds"][0], "running")
    await tell(client, chain, "cancel")
    await run_reaches(client, row["issueRunIds"][0], "cancelled")
    row = await reaches(client, chain, "cancelled")
    assert row["error"] is None
    assert [(await get(client, issue))["status"] for issue in issues] == ["failed", "new", "new"]
    assert (await events_of(database, chain))[-2:] == ["chain.issue-failed", "chain.ended"]
    for verb in ("start", "pause", "resume", "cancel"):
        await tell(client, chain, verb, 409)


async def test_it_stops_at_a_failure_and_is_started_again_from_there(
    client: httpx.AsyncClient, worker: None, body: Body, issues: list[Body], database: Database
) -> None:
    chain = await created(client, body)
    for verb in ("pause", "resume"):
        await tell(client, chain, verb, 409)
    await tell(client, chain, "start", 201)
    await tell(client, chain, "start", 409)
    row = await reaches(client, chain, "running", run_at=0)
    await run_reaches(client, row["issueRunIds"][0], "running")
    assert (await client.post(f"/runs/{row['issueRunIds'][0]}/cancel")).status_code == 200
    failed = await reaches(client, chain, "failed")
    assert failed["error"]["code"] == "ISSUE_FAILED"
    assert "“Issue 1”" in failed["error"]["message"]
    assert [(await get(client, issue))["status"] for issue in issues] == ["failed", "new", "new"]
    await tell(client, chain, "resume", 409)
    again = await tell(client, chain, "start", 201)
    assert (again["status"], again["error"]) == ("running", None)
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while (await get(client, issues[0]))["status"] != "running":
            await asyncio.sleep(0.02)
    row = await reaches(client, chain, "running", run_at=0)
    assert row["issueRunIds"][0] != failed["issueRunIds"][0]


async def test_an_issue_that_was_restarted_by_hand_is_not_worked_on_twice(
    client: httpx.AsyncClient, worker: None, body: Body, database: Database
) -> None:
    """Its chain waits for that, and then takes what was done."""
    chain = await created(client, body, issueIds=body["issueIds"][:1])
    await tell(client, chain, "start", 201)
    run_id = (await reaches(client, chain, "running", run_at=0))["issueRunIds"][0]
    await run_reaches(client, run_id, "running")
    await client.post(f"/runs/{run_id}/cancel")
    await reaches(client, chain, "failed")
    again = (await client.post(f"/runs/{run_id}/restart")).json()["data"]["id"]
    await tell(client, chain, "start", 201)
    busy = await reaches(client, chain, "failed")
    assert busy["error"]["code"] == "CONFLICT"
    assert again in busy["error"]["message"]
    await RunActivities(database).close_run(CloseJob(job_id=again, ending=JobResult(status="completed")))
    await tell(client, chain, "start", 201)
    assert (await reaches(client, chain, "completed"))["issueRunIds"] == [again]


async def test_what_was_deleted_or_done_before_its_turn_is_passed_over(
    client: httpx.AsyncClient, worker: None, body: Body, issues: list[Body], database: Database
) -> None:
    chain = await created(client, body)
    run = await start_run(
        client, {name: body[name] for name in ("workflowId", "githubRepoUrl")} | {"prompt": "x"}
    )
    await linked(client, issues[0], run)
    await RunActivities(database).close_run(CloseJob(job_id=run["id"], ending=JobResult(status="completed")))
    await client.post("/issues/delete", json={"issueId": issues[1]["id"]})
    await tell(client, chain, "start", 201)
    row = await reaches(client, chain, "running", run_at=2)
    assert row["currentIssueIndex"] == 2
    assert row["issueRunIds"][:2] == row["issuePrUrls"] == [None, None]
    left = (await client.get("/work-chains/issues", params={"id": chain["id"]})).json()["data"]
    assert [(each["index"], each["id"]) for each in left] == [(0, issues[0]["id"]), (2, issues[2]["id"])]
    assert (await events_of(database, chain)) == [
        "chain.created",
        "chain.started",
        "chain.issue-skipped",
        "chain.issue-skipped",
        "chain.issue-started",
    ]


async def test_without_the_engine_it_waits_and_is_cancelled_at_once(
    client: httpx.AsyncClient, unplugged: httpx.AsyncClient, body: Body
) -> None:
    chain = await created(unplugged, body)
    assert (await tell(unplugged, chain, "start", 201))["status"] == "pending"
    assert "started before" in (await tell(unplugged, chain, "start", 409))["message"]
    await tell(unplugged, chain, "delete", 409)
    await tell(unplugged, chain, "pause", 503)
    assert (await tell(unplugged, chain, "cancel"))["status"] == "cancelled"
    await tell(client, chain, "start", 409)


async def test_one_that_was_never_started_is_cancelled_or_deleted(
    client: httpx.AsyncClient, worker: None, body: Body
) -> None:
    cancelled, deleted = await created(client, body), await created(client, body)
    assert (await tell(client, cancelled, "cancel"))["status"] == "cancelled"
    assert (await tell(client, deleted, "delete"))["status"] == "pending"
    listed = await client.get("/work-chains/list?status=cancelled")
    assert [each["id"] for each in listed.json()["data"]] == [cancelled["id"]]


async def test_its_issues_come_page_by_page(client: httpx.AsyncClient, body: Body) -> None:
    chain, other = await created(client, body), await created(client, body, issueIds=body["issueIds"][::-1])
    query = {"id": chain["id"], "limit": "2"}
    first = (await client.get("/work-chains/issues", params=query)).json()
    after = {"cursor": first["nextCursor"]}
    rest = (await client.get("/work-chains/issues", params=query | after)).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == chain["issueIds"]
    assert (first["hasMore"], rest["hasMore"]) == (True, False)
    foreign = await client.get("/work-chains/issues", params={"id": other["id"], "limit": "2"} | after)
    assert (foreign.status_code, foreign.json()["error"]["field"]) == (400, "cursor")


async def test_its_repository_is_the_projects_when_none_is_given(
    client: httpx.AsyncClient, body: Body
) -> None:
    del body["githubRepoUrl"], body["branchName"]
    refused = await client.post("/work-chains/create", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    await client.post("/project/update", json={"githubRepoUrl": URL})
    chain = await created(client, body)
    assert (chain["githubRepoUrl"], chain["branchName"]) == (URL, None)


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"title": ""}, 400, "title"),
        ({"issueIds": []}, 400, "issueIds"),
        ({"issueIds": ["iss_1", "iss_1"]}, 400, "issueIds"),
        ({"issueIds": [f"iss_{number}" for number in range(101)]}, 400, "issueIds"),
        ({"issueIds": [new_id("iss")]}, 404, None),
        ({"issueIds": ["nonsense"]}, 404, None),
        ({"githubRepoUrl": "https://evil.example/org/repo"}, 400, "githubRepoUrl"),
        ({"branchName": ""}, 400, "branchName"),
        ({"workflowId": "wf_" + "0" * 32}, 404, None),
    ],
)
async def test_what_a_chain_cannot_be(
    client: httpx.AsyncClient, body: Body, changes: Body, status: int, field: str | None
) -> None:
    answer = await client.post("/work-chains/create", json={**body, **changes})
    assert (answer.status_code, answer.json()["error"].get("field")) == (status, field), answer.text
    assert (await client.get("/work-chains/list")).json()["data"] == []


async def test_another_projects_chain_and_issues_are_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, body: Body, issues: list[Body]
) -> None:
    chain, theirs = await created(client, body), await an_issue(stranger)
    for path in ("get", "issues"):
        assert (await stranger.get(f"/work-chains/{path}", params={"id": chain["id"]})).status_code == 404
    for verb in ("start", "pause", "resume", "cancel", "delete"):
        await tell(stranger, chain, verb, 404)
    mixed = await client.post(
        "/work-chains/create", json={**body, "issueIds": [issues[0]["id"], theirs["id"]]}
    )
    assert (mixed.status_code, mixed.json()["error"]["message"]) == (404, f"Issue not found: {theirs['id']}")
    await client.post("/issues/delete", json={"issueId": issues[1]["id"]})
    assert (await client.post("/work-chains/create", json=body)).status_code == 404
