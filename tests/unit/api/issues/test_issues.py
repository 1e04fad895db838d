"""Issues by REST: written down, found, changed, linked and deleted; and they end as their runs do."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from activities.jobs.lifecycle import CloseJob, JobResult
from activities.runs.lifecycle import RunActivities
from kit.database import Database
from kit.ids import new_id
from models import Run
from models.event import Event, EventType, append_event
from models.issues.issue import Issue, update_issues_of_run
from models.runs.run import RunStatus
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.support.issue_scan_rows import make_issue_session
from tests.support.row_locks import wait_for_lock_waiter
from tests.unit.api.runs.test_runs import start

Body = dict[str, Any]
LEAK: Body = {
    "title": "Memory leak in WebSocket handler",
    "description": "Connection handlers not cleaned up on disconnect",
    "priority": "high",
    "suggestedPrompt": "Clean up event listeners on disconnect",
}


async def created(client: httpx.AsyncClient, **changes: Any) -> Body:
    answer = await client.post("/issues/create", json={**LEAK, **changes})
    assert answer.status_code == 201, answer.text
    issue: Body = answer.json()["data"]
    return issue


async def get(client: httpx.AsyncClient, issue: Body) -> Body:
    found: Body = (await client.get("/issues/get", params={"id": issue["id"]})).json()["data"]
    return found


async def linked(client: httpx.AsyncClient, issue: Body, run: Body, status: int = 200) -> Body:
    answer = await client.post("/issues/link-run", json={"issueId": issue["id"], "runId": run["id"]})
    assert answer.status_code == status, answer.text
    told: Body = answer.json()["data" if status == 200 else "error"]
    return told


async def events_of(database: Database, issue: Body) -> list[str]:
    statement = select(Event).where(col(Event.subject_id) == issue["id"]).order_by(col(Event.seq))
    async with database.transaction() as session:
        events = (await session.exec(statement)).all()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.type for event in events]


async def end(database: Database, run: Body, status: RunStatus) -> None:
    """As the run's workflow does, once more than it needs to."""
    for _ in range(2):
        await RunActivities(database).close_run(
            CloseJob(job_id=run["id"], ending=JobResult(status=status.value))
        )


async def test_they_are_as_documented(client: httpx.AsyncClient, run_body: dict[str, str]) -> None:
    ask = ContractClient(client)
    issue = await ask("createIssue", LEAK)
    assert {name: issue[name] for name in LEAK} == LEAK
    assert (issue["status"], issue["runId"]) == ("new", None)
    assert issue == await ask("getIssue", id=issue["id"])
    changed = await ask("updateIssue", {"issueId": issue["id"], "priority": "critical", "description": None})
    assert (changed["priority"], changed["description"], changed["title"]) == (
        "critical",
        None,
        LEAK["title"],
    )
    run = await start(client, run_body)
    worked_on = await ask("linkIssueToRun", {"issueId": issue["id"], "runId": run["id"]})
    assert (worked_on["status"], worked_on["runId"], worked_on["completedAt"]) == ("running", run["id"], None)
    other = await ask("createIssue", {"title": "Only a title"})
    assert (other["priority"], other["suggestedPrompt"], other["sessionId"]) == ("medium", None, None)
    for name in ("listIssues", "listIssuesLegacy"):
        assert [each["id"] for each in await ask(name)] == [other["id"], issue["id"]]
    assert (await ask("deleteIssue", {"issueId": issue["id"]}))["id"] == issue["id"]
    many = {"issueIds": [issue["id"], other["id"], new_id("iss"), "nonsense"]}
    assert await ask("deleteIssuesInBulk", many) == {"count": 1}
    assert await ask("deleteIssuesInBulk", many) == {"count": 0}
    assert await ask("listIssues") == []


async def test_they_are_found_by_status_and_session(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database, project: ProjectKey
) -> None:
    new, running, done = [
        await created(client, sessionId=await make_issue_session(database, project.id)) for _ in range(3)
    ]
    for issue in (running, done):
        run = await start(client, run_body)
        await linked(client, issue, run)
    await end(database, run, RunStatus.completed)
    for query, expected in (
        ("status=open", [running, new]),
        ("status=new", [new]),
        ("status=running", [running]),
        ("status=completed", [done]),
        ("status=failed", []),
        (f"sessionId={new['sessionId']}", [new]),
        (f"sessionId={done['sessionId']}&status=open", []),
        ("sessionId=nonsense", []),
    ):
        for path in ("/issues", "/issues/list"):
            found = (await client.get(f"{path}?{query}")).json()["data"]
            assert [each["id"] for each in found] == [each["id"] for each in expected], query
    assert (await client.get("/issues/list?status=closed")).json()["error"]["field"] == "status"
    first = (await client.get("/issues/list?status=open&limit=1")).json()
    rest = (await client.get(f"/issues/list?status=open&limit=1&cursor={first['nextCursor']}")).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == [running["id"], new["id"]]
    other = await client.get(f"/issues/list?status=new&cursor={first['nextCursor']}")
    assert other.json()["error"]["field"] == "cursor"


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"title": ""}, 400, "title"),
        ({"title": None}, 400, "title"),
        ({"priority": "urgent"}, 400, "priority"),
        ({"status": "completed"}, 400, "status"),
        ({"sessionId": "nonsense"}, 404, None),
        ({"sessionId": new_id("is")}, 404, None),
    ],
)
async def test_what_an_issue_cannot_be(
    client: httpx.AsyncClient, changes: Body, status: int, field: str | None
) -> None:
    answer = await client.post("/issues/create", json={**LEAK, **changes})
    assert (answer.status_code, answer.json()["error"].get("field")) == (status, field), answer.text
    assert (await client.get("/issues/list")).json()["data"] == []


@pytest.mark.parametrize("ids", [[], [new_id("iss")] * 101])
async def test_how_many_are_deleted_at_once(client: httpx.AsyncClient, ids: list[str]) -> None:
    answer = await client.post("/issues/bulk-delete", json={"issueIds": ids})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "issueIds")


async def test_a_deleted_issue_and_another_projects_are_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    issue, deleted, run = await created(client), await created(client), await start(client, run_body)
    await client.post("/issues/delete", json={"issueId": deleted["id"]})
    for asking, known in ((stranger, issue["id"]), (client, deleted["id"])):
        for answer in (
            await asking.get("/issues/get", params={"id": known}),
            await asking.post("/issues/update", json={"issueId": known, "title": "Mine"}),
            await asking.post("/issues/delete", json={"issueId": known}),
            await asking.post("/issues/link-run", json={"issueId": known, "runId": run["id"]}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
        assert (await asking.post("/issues/bulk-delete", json={"issueIds": [known]})).json()["data"][
            "count"
        ] == 0
    assert await get(client, issue) == issue


async def test_only_a_run_of_the_project_is_linked(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    issue, theirs = await created(client), await created(stranger)
    run = await start(client, run_body)
    for run_id in (new_id("r"), "nonsense", issue["id"]):
        assert (await linked(client, issue, {"id": run_id}, 404))["message"] == "Run not found."
    assert (await linked(stranger, theirs, run, 404))["message"] == "Run not found."
    assert (await get(client, issue))["status"] == "new"


@pytest.mark.parametrize(
    ("ending", "status"),
    [(RunStatus.completed, "completed"), (RunStatus.failed, "failed"), (RunStatus.cancelled, "failed")],
)
async def test_an_issue_ends_as_its_run_does(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database, ending: RunStatus, status: str
) -> None:
    before, after, run = await created(client), await created(client), await start(client, run_body)
    await linked(client, before, run)
    await end(database, run, ending)
    ended = await get(client, before)
    assert (ended["status"], ended["runId"]) == (status, run["id"])
    assert ended["completedAt"] is not None
    told = ["issue.created", "issue.running", f"issue.{status}"]
    assert await events_of(database, before) == told
    assert (await linked(client, after, run))["status"] == status
    assert await linked(client, before, run) == ended
    assert await events_of(database, before) == told


async def test_a_run_that_is_cancelled_before_it_began_ends_its_issue(
    client: httpx.AsyncClient, unplugged: httpx.AsyncClient, run_body: dict[str, str]
) -> None:
    issue, run = await created(client), await start(unplugged, run_body)
    assert run["status"] == "pending"
    assert (await linked(client, issue, run))["status"] == "running"
    assert (await unplugged.post(f"/runs/{run['id']}/cancel")).status_code == 200
    assert (await get(client, issue))["status"] == "failed"


async def test_a_link_that_is_made_as_the_run_ends_is_not_left_running(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database
) -> None:
    for _ in range(10):
        issue, run = await created(client), await start(client, run_body)
        await asyncio.gather(linked(client, issue, run), end(database, run, RunStatus.completed))
        assert (await get(client, issue))["status"] == "completed"


async def test_a_restarted_run_takes_the_issue_over(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database
) -> None:
    issue, run = await created(client), await start(client, run_body)
    await linked(client, issue, run)
    await end(database, run, RunStatus.failed)
    again = (await client.post(f"/runs/{run['id']}/restart")).json()["data"]
    restarted = await get(client, issue)
    assert (restarted["status"], restarted["runId"]) == ("running", again["id"])
    assert restarted["completedAt"] is None
    await end(database, again, RunStatus.completed)
    assert (await get(client, issue))["status"] == "completed"
    assert (await events_of(database, issue))[1:] == [
        "issue.running",
        "issue.failed",
        "issue.running",
        "issue.completed",
    ]


async def test_an_issue_that_is_linked_anew_leaves_its_run_behind(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database
) -> None:
    issue = await created(client)
    first, second = await start(client, run_body), await start(client, run_body)
    await linked(client, issue, first)
    await end(database, first, RunStatus.failed)
    assert (await linked(client, issue, second))["status"] == "running"
    await end(database, first, RunStatus.failed)
    assert (await get(client, issue))["status"] == "running"


@pytest.mark.parametrize("ending", [None, RunStatus.completed])
async def test_a_run_that_vanishes_fails_its_issue_until_it_is_back(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database, ending: RunStatus | None
) -> None:
    issue, run = await created(client), await start(client, run_body)
    await linked(client, issue, run)
    if ending:
        await end(database, run, ending)
    before = (await get(client, issue))["status"]
    for change, status in ((Run.trash, "failed"), (Run.restore, before)):
        async with database.transaction() as session:
            row = await session.get_one(Run, run["id"], with_for_update=True)
            change(row)
            await update_issues_of_run(session, row)
        assert (await get(client, issue))["status"] == status


async def test_a_deleted_issue_follows_no_run(
    client: httpx.AsyncClient, run_body: dict[str, str], database: Database
) -> None:
    issue, run = await created(client), await start(client, run_body)
    await linked(client, issue, run)
    await client.post("/issues/delete", json={"issueId": issue["id"]})
    await end(database, run, RunStatus.completed)
    assert await events_of(database, issue) == ["issue.created", "issue.running", "issue.deleted"]


async def test_an_issue_that_changes_while_it_is_deleted_is_deleted(
    client: httpx.AsyncClient, database: Database
) -> None:
    """What the request read before it held the row counts no more."""
    issue = await created(client)
    async with database.transaction() as session:
        row = await session.get_one(Issue, issue["id"], with_for_update=True)
        deleting = asyncio.create_task(client.post("/issues/delete", json={"issueId": issue["id"]}))
        await wait_for_lock_waiter(database)
        append_event(session, row, EventType.issue_running, {})
    answer = await deleting
    assert answer.status_code == 200, answer.text
    async with database.transaction() as session:
        events = select(Event.seq).where(col(Event.subject_id) == issue["id"]).order_by(col(Event.seq))
        assert (await session.exec(events)).all() == [1, 2, 3]
