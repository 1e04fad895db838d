"""Learnings by REST: written, decided on, changed, counted, listed by what they are and where they showed."""

from typing import Any

import httpx
import pytest

from kit.database import Database
from models import Learning, LearningOccurrence, Run, Sandbox
from models.learnings.learning import LearningSource
from tests.conftest import ProjectKey
from tests.factories import make_running_run
from tests.support.contract_client import ContractClient

Body = dict[str, Any]
SLOW: Body = {
    "description": "Queries in a loop made the orders page slow",
    "trigger": "When a list is read with what belongs to each of its rows",
    "correctBehavior": "Read it with one joined query",
    "severity": "high",
    "category": "performance",
    "applicableRoles": ["designer", "optimizer"],
}


async def created(client: httpx.AsyncClient, **fields: Any) -> Body:
    answer = await client.post("/learnings/create", json={"description": "Read the README", **fields})
    assert answer.status_code == 201, answer.text
    learning: Body = answer.json()["data"]
    return learning


async def approved(client: httpx.AsyncClient, **fields: Any) -> Body:
    learning = await created(client, **fields)
    answer = await client.post(
        "/learnings/update-status", json={"learningId": learning["id"], "status": "approved"}
    )
    decided: Body = answer.json()["data"]
    return decided


async def ids(client: httpx.AsyncClient, path: str = "list", **query: Any) -> list[str]:
    answer = await client.get(f"/learnings/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["data"]]


@pytest.fixture
async def run(project: ProjectKey, database: Database) -> Run:
    """A run with a sandbox."""
    blueprint, run, sandbox = make_running_run(project)
    async with database.transaction() as session:
        for row in (blueprint, run, sandbox):
            session.add(row)
            await session.flush()
    return run


async def test_learnings_are_as_documented(client: httpx.AsyncClient, project: ProjectKey) -> None:
    ask = ContractClient(client)
    learning = await ask("createLearning", SLOW)
    assert {name: learning[name] for name in SLOW} == SLOW
    assert (learning["status"], learning["source"], learning["occurrences"]) == ("pending", "manual", 1)
    assert (learning["approvedAt"], learning["runId"]) == (None, None)
    this = {"learningId": learning["id"]}
    yes = await ask("updateLearningStatus", {**this, "status": "approved"})
    assert (yes["status"], yes["approvedBy"]) == ("approved", project.member_id)
    assert yes["approvedAt"] is not None
    assert await ask("updateLearningStatus", {**this, "status": "approved"}) == yes
    other = await created(client)
    both = {"learningIds": [learning["id"], other["id"], "nonsense"], "status": "rejected"}
    assert await ask("updateLearningStatuses", both) == {"count": 2}
    assert await ask("updateLearningStatuses", both) == {"count": 0}
    listed = await ask("listLearnings")
    assert [each["id"] for each in listed] == [other["id"], learning["id"]]
    assert listed == await ask("listLearningsLegacy")
    assert {each["approvedAt"] for each in listed} == {None}
    stats = await ask("getLearningStats")
    assert stats["total"] == 2
    assert stats["byStatus"] == {"pending": 0, "approved": 0, "rejected": 2}
    assert stats["bySeverity"] == {"low": 0, "medium": 1, "high": 1, "critical": 0}
    assert sorted(stats["byCategory"], key=str) == [
        {"category": "performance", "count": 1},
        {"category": None, "count": 1},
    ]


async def test_an_approval_is_of_the_words(client: httpx.AsyncClient) -> None:
    learning = await approved(client, **SLOW)

    async def updated(**fields: Any) -> Body:
        answer = await client.post("/learnings/update-content", json={"learningId": learning["id"], **fields})
        assert answer.status_code == 200, answer.text
        row: Body = answer.json()["data"]
        return row

    relabelled = await updated(severity="low", category=None, applicableRoles=[], trigger=SLOW["trigger"])
    assert (relabelled["status"], relabelled["category"]) == ("approved", None)
    assert relabelled["updatedAt"] > learning["updatedAt"]
    rewritten = await updated(correctBehavior=None)
    assert (rewritten["status"], rewritten["approvedAt"], rewritten["approvedBy"]) == ("pending", None, None)
    assert rewritten["description"] == SLOW["description"], "what is not given stays"


async def test_lists_are_filtered(
    client: httpx.AsyncClient, project: ProjectKey, database: Database, run: Run
) -> None:
    first = await approved(client, **SLOW)
    second = await created(client, severity="critical", runId=run.id)
    third = Learning(
        project_id=project.id, description="x", source=LearningSource.extracted, category="tests"
    )
    async with database.transaction() as session:
        session.add(third)
        await session.flush()
        session.add(LearningOccurrence(learning_id=third.id, run_id=run.id))
    assert await ids(client, status="approved") == [first["id"]]
    assert await ids(client, category="tests") == [third.id]
    assert await ids(client, severity="critical") == [second["id"]]
    assert await ids(client, source="extracted") == [third.id]
    assert await ids(client, runId=run.id) == [third.id, second["id"]], "also what showed there again"
    assert await ids(client, applicableRole="optimizer") == [third.id, second["id"], first["id"]]
    assert await ids(client, applicableRole="judge") == [third.id, second["id"]]


async def test_learnings_of_a_sandbox_are_those_that_it_showed(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database, run: Run
) -> None:
    async with database.transaction() as session:
        sandbox = Sandbox(project_id=run.project_id, job_id="r_1", name="n", template_id="base", timeout_ms=1)
        session.add(sandbox)
    await created(client)
    there = await created(client, sandboxId=sandbox.id)
    assert there["sandboxId"] == sandbox.id
    found = await ContractClient(client)("listLearningsBySandbox", sandboxId=sandbox.id)
    assert [each["id"] for each in found] == [there["id"]]
    assert (await client.get("/learnings/by-sandbox")).json()["error"]["field"] == "sandboxId"
    unknown = await stranger.get("/learnings/by-sandbox", params={"sandboxId": sandbox.id})
    assert unknown.status_code == 404
    foreign = {"description": "x", "sandboxId": sandbox.id}
    assert (await stranger.post("/learnings/create", json=foreign)).status_code == 404
    foreign = {"description": "x", "runId": run.id}
    assert (await stranger.post("/learnings/create", json=foreign)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"description": " "}, "description"),
        ({"description": "x" * 2_001}, "description"),
        ({"severity": "urgent"}, "severity"),
        ({"category": ""}, "category"),
        ({"applicableRoles": ["engineer"]}, "applicableRoles.0"),
        ({"status": "approved"}, "status"),
    ],
)
async def test_a_learning_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, changes: Body, field: str
) -> None:
    answer = await client.post("/learnings/create", json={**SLOW, **changes})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_another_projects_learning_is_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    learning = await created(client)
    this = {"learningId": learning["id"]}
    for verb, body in (("update-status", {"status": "approved"}), ("update-content", {"severity": "low"})):
        assert (await stranger.post(f"/learnings/{verb}", json={**this, **body})).status_code == 404
    many = {"learningIds": [learning["id"]], "status": "approved"}
    answer = await stranger.post("/learnings/bulk-update-status", json=many)
    assert answer.json()["data"] == {"count": 0}
    assert await ids(client, status="pending") == [learning["id"]]


async def test_deleted_learnings_come_back_or_are_gone_for_good(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    ask = ContractClient(client)
    first, second = await approved(client), await created(client)
    this = {"learningId": first["id"]}
    assert (await ask("deleteLearning", this))["id"] == first["id"]
    assert (await client.post("/learnings/delete", json=this)).status_code == 404
    assert await ids(client) == [second["id"]]
    assert (await ask("getLearningStats"))["total"] == 1
    assert (await client.post("/learning-versions/compile")).status_code == 409, "what is trashed is not told"
    assert (await stranger.post("/learnings/restore", json=this)).status_code == 404
    assert (await ask("restoreLearning", this))["status"] == "approved"
    assert (await client.post("/learnings/restore", json=this)).status_code == 409
    assert (await stranger.post("/learnings/permanent-delete", json=this)).status_code == 404
    assert await ask("permanentlyDeleteLearning", this)
    assert (await client.post("/learnings/restore", json=this)).status_code == 404
    many = {"learningIds": [first["id"], second["id"], "nonsense"]}
    assert (await stranger.post("/learnings/bulk-delete", json=many)).json()["data"] == {"count": 0}
    assert await ask("bulkDeleteLearnings", many) == {"count": 1}
    assert await ids(client) == []


@pytest.mark.parametrize(
    "config", [{"templateId": "base"}, {"selectedScripts": ["x"]}, {"selectedCommands": ["x"]}]
)
async def test_a_learning_config_takes_nothing_that_needs_a_sandbox(
    client: httpx.AsyncClient, config: Body
) -> None:
    answer = await client.post("/project/settings/update", json={"learningConfig": config})
    [name] = config
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, f"learningConfig.{name}")
