"""Issue sessions by REST: started, cancelled, renamed, into the trash, out of it and gone for good."""

from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from kit.database import Database
from models import Issue, IssueSession, JobSnapshot
from models.issues.issue_session import IssueSessionStatus
from models.trash.kinds import ISSUE_SESSION
from models.trash.moves import remove
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.support.issue_scan_rows import make_issue_session

Body = dict[str, Any]
SCAN: Body = {
    "prompt": "Scan for security vulnerabilities and performance issues",
    "templateId": "base",
    "memoryMb": 4096,
    "timeoutMs": 600_000,
}


@pytest.fixture
async def repository(client: httpx.AsyncClient) -> None:
    await client.post("/project/update", json={"githubRepoUrl": "https://github.com/org/repo"})


async def started(client: httpx.AsyncClient, **changes: Any) -> Body:
    answer = await client.post("/issue-sessions/start", json={**SCAN, **changes})
    assert answer.status_code == 201, answer.text
    row: Body = answer.json()["data"]
    return row


async def refused(client: httpx.AsyncClient, verb: str, body: Body) -> int:
    return (await client.post(f"/issue-sessions/{verb}", json=body)).status_code


@pytest.mark.usefixtures("repository")
async def test_they_are_as_documented(
    client: httpx.AsyncClient, unplugged: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    ask = ContractClient(client)
    scan = await ask("startIssueSession", SCAN)
    assert {name: scan[name] for name in SCAN} == SCAN
    assert (scan["status"], scan["name"], scan["cpuCount"]) == ("active", SCAN["prompt"], None)
    assert (scan["repositorySlug"], scan["issueCount"], scan["summary"]) == ("org/repo", 0, None)
    assert scan["id"].startswith("is_")
    assert scan == await ask("getIssueSession", id=scan["id"])
    named = await ask("renameIssueSession", {"sessionId": scan["id"], "name": "Security audit"})
    assert named["name"] == "Security audit"
    waiting = await started(unplugged)
    assert waiting["status"] == "pending"
    assert (await ask("cancelIssueSession", {"sessionId": waiting["id"]}))["status"] == "cancelled"
    assert [each["id"] for each in await ask("listIssueSessions")] == [waiting["id"], scan["id"]]
    assert [each["id"] for each in await ask("listIssueSessions", status="active")] == [scan["id"]]
    this = {"sessionId": waiting["id"]}
    assert (await ask("deleteIssueSession", this))["id"] == waiting["id"]
    assert await refused(client, "delete", this) == 404
    assert (await ask("restoreIssueSession", this))["id"] == waiting["id"]
    assert await refused(client, "restore", this) == 409
    many = {"sessionIds": [waiting["id"], await make_issue_session(database, project.id), "nonsense"]}
    assert await ask("bulkDeleteIssueSessions", many) == {"count": 2}
    assert await ask("permanentlyDeleteIssueSession", this)
    assert await refused(client, "restore", this) == 404


@pytest.mark.usefixtures("repository")
async def test_one_at_work_is_not_deleted(client: httpx.AsyncClient) -> None:
    this = {"sessionId": (await started(client))["id"]}
    for verb in ("delete", "permanent-delete"):
        assert await refused(client, verb, this) == 409
    assert await refused(client, "bulk-delete", {"sessionIds": [this["sessionId"]]}) == 409


async def test_gone_for_good_it_leaves_its_issues(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    scan = await make_issue_session(database, project.id)
    found = Issue(project_id=project.id, title="Found", session_id=scan)
    async with database.transaction() as session:
        session.add_all([found, JobSnapshot(job_id=scan, document={})])
    gone = await client.post("/issue-sessions/permanent-delete", json={"sessionId": scan})
    assert gone.status_code == 200
    async with database.transaction() as session:
        await remove(session, ISSUE_SESSION, scan)
    async with database.transaction() as session:
        assert await session.get(IssueSession, scan) is None
        assert await session.get(JobSnapshot, scan) is None
        issue = (await session.exec(select(Issue).where(col(Issue.id) == found.id))).one()
        assert issue.session_id is None


async def test_it_needs_the_projects_repository(client: httpx.AsyncClient) -> None:
    answer = await client.post("/issue-sessions/start", json=SCAN)
    assert answer.status_code == 409
    assert "githubRepoUrl" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"memoryMb": 1}, "memoryMb"),
        ({"timeoutMs": 5}, "timeoutMs"),
        ({"cpuCount": 0}, "cpuCount"),
        ({"depth": 3}, "depth"),
    ],
)
@pytest.mark.usefixtures("repository")
async def test_what_it_cannot_be(client: httpx.AsyncClient, changes: Body, field: str) -> None:
    answer = await client.post("/issue-sessions/start", json={**SCAN, **changes})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_another_projects_is_unknown(
    stranger: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    this = {"sessionId": await make_issue_session(database, project.id)}
    for verb in ("cancel", "delete", "restore", "permanent-delete"):
        assert await refused(stranger, verb, this) == 404
    assert await refused(stranger, "rename", {**this, "name": "Mine"}) == 404
    assert (await stranger.get("/issue-sessions/get", params={"id": this["sessionId"]})).status_code == 404
    answer = await stranger.post("/issue-sessions/bulk-delete", json={"sessionIds": [this["sessionId"]]})
    assert answer.json()["data"] == {"count": 0}
    async with database.transaction() as session:
        row = await session.get_one(IssueSession, this["sessionId"])
        assert (row.status, row.deleted_at) == (IssueSessionStatus.completed, None)
