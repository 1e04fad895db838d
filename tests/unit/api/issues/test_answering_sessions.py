"""Answering sessions and their questions by REST, with the real workflow and agents that do not speak."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from kit.database import Database
from models import AgentSession, AnsweringSession, SessionQuestion
from models.issues.answering_session import AnsweringStatus
from models.issues.session_question import QuestionStatus
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.support.issue_scan_rows import make_issue_session
from tests.support.waiting import TEST_TIMEOUT_SECONDS

Body = dict[str, Any]
CORRECTION = "No -- use a server-side cookie instead."


@pytest.fixture
async def scan(database: Database, project: ProjectKey) -> str:
    return await make_issue_session(database, project.id)


async def created(client: httpx.AsyncClient, scan: str) -> Body:
    answer = await client.post("/answering-sessions", json={"issueSessionId": scan})
    assert answer.status_code == 201, answer.text
    row: Body = answer.json()["data"]
    return row


async def reaches(client: httpx.AsyncClient, row: Body, status: str) -> Body:
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while True:
            found: Body = (await client.get(f"/answering-sessions/{row['id']}")).json()["data"]
            if found["status"] == status:
                return found
            await asyncio.sleep(0.02)


async def questions(client: httpx.AsyncClient, row: Body) -> list[Body]:
    answer = await client.get("/session-questions", params={"answeringSessionId": row["id"]})
    found: list[Body] = answer.json()["data"]
    return found


async def review(client: httpx.AsyncClient, question: Body, **body: Any) -> httpx.Response:
    return await client.put(f"/session-questions/{question['id']}/review", json=body)


async def test_they_are_as_documented(
    client: httpx.AsyncClient, worker: None, scan: str, project: ProjectKey
) -> None:
    ask = ContractClient(client)
    row = await ask("createSessionForAnswers", {"issueSessionId": scan})
    assert (row["status"], row["issueSessionId"], row["projectId"]) == ("pending", scan, project.id)
    row = await reaches(client, row, "active")
    assert row == await ask("getAnsweringSession", path=row["id"])
    assert (row["questionCount"], row["reviewedCount"], row["completedAt"]) == (2, 0, None)
    assert await ask("listAnsweringSessions", issueSessionId=scan, status="active") == [row]
    assert await ask("listAnsweringSessions", status="completed") == []
    first, second = await ask("listSessionQuestions", answeringSessionId=row["id"])
    changed = await ask("updateSessionQuestionAssumption", {"assumption": "For 30 days."}, path=first["id"])
    assert (changed["assumption"], changed["status"]) == ("For 30 days.", "pending")
    declined = {"status": "declined", "correction": CORRECTION}
    told = await ask("reviewSessionQuestion", declined, path=first["id"])
    assert (told["status"], told["correction"], told["reviewedBy"]) == (
        "declined",
        CORRECTION,
        project.member_id,
    )
    again = await ask("reviewSessionQuestion", declined, path=first["id"])
    assert again == told
    for other in ({"status": "approved"}, {"status": "declined", "correction": "Something else."}):
        assert (await review(client, first, **other)).status_code == 409
    refused = await client.put(f"/session-questions/{first['id']}/assumption", json={"assumption": "x"})
    assert refused.status_code == 409
    assert (await client.get(f"/answering-sessions/{row['id']}")).json()["data"]["reviewedCount"] == 1
    assert (await review(client, second, status="approved")).status_code == 200
    row = await reaches(client, row, "completed")
    assert row["reviewedCount"] == 2
    assert [each["answer"] for each in await questions(client, row)] == [CORRECTION, "Yes."]
    assert (await ask("archiveAnsweringSession", path=row["id"]))["status"] == "archived"
    assert (await client.get(f"/answering-sessions/{row['id']}")).status_code == 404


async def test_a_client_says_that_all_is_reviewed(client: httpx.AsyncClient, worker: None, scan: str) -> None:
    ask = ContractClient(client)
    row = await reaches(client, await created(client, scan), "active")
    for status in ("pending", "completed"):
        answer = await client.put(f"/answering-sessions/{row['id']}/status", json={"status": status})
        assert answer.status_code == 409
    assert (await ask("updateAnsweringStatus", {"status": "active"}, path=row["id"]))["status"] == "active"
    await ask("updateAnsweringStatus", {"status": "reviewed"}, path=row["id"])
    row = await reaches(client, row, "completed")
    assert row["reviewedCount"] == 0
    late = await review(client, (await questions(client, row))[0], status="approved")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "CONFLICT")
    answer = await client.put(f"/answering-sessions/{row['id']}/status", json={"status": "reviewed"})
    assert answer.status_code == 409


async def test_one_at_a_time(client: httpx.AsyncClient, worker: None, scan: str, database: Database) -> None:
    row = await reaches(client, await created(client, scan), "active")
    answer = await client.post("/answering-sessions", json={"issueSessionId": scan})
    assert (answer.status_code, row["id"] in answer.json()["error"]["message"]) == (409, True)
    archived = await client.put(f"/answering-sessions/{row['id']}/status", json={"status": "archived"})
    assert archived.json()["data"]["status"] == "archived"
    await created(client, scan)
    async with database.transaction() as session:
        old = await session.get_one(AnsweringSession, row["id"])
        assert (old.status, old.deleted_at is None) == (AnsweringStatus.archived, False)


async def test_archived_while_it_asks_nothing_follows(
    client: httpx.AsyncClient, unplugged: httpx.AsyncClient, scan: str, database: Database
) -> None:
    row = await created(unplugged, scan)
    assert (await unplugged.delete(f"/answering-sessions/{row['id']}")).status_code == 200
    async with database.transaction() as session:
        agents = select(AgentSession).where(col(AgentSession.job_id) == row["id"])
        assert (await session.exec(agents)).all() == []


async def a_question(database: Database, project_id: str, scan: str) -> str:
    row = AnsweringSession(
        project_id=project_id,
        issue_session_id=scan,
        name="n",
        github_repo_url="u",
        repository_slug="o/r",
        status=AnsweringStatus.active,
        question_count=1,
        time_limit_seconds=60,
    )
    question = SessionQuestion(
        project_id=project_id, answering_session_id=row.id, number=1, question="?", assumption="!"
    )
    async with database.transaction() as session:
        session.add(row)
        await session.flush()
        session.add(question)
    return question.id


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "declined"}, "correction"),
        ({"status": "declined", "correction": " "}, "correction"),
        ({"status": "approved", "correction": "But"}, "correction"),
        ({"status": "pending"}, "status"),
        ({}, "status"),
    ],
)
async def test_what_a_review_cannot_be(
    client: httpx.AsyncClient, scan: str, database: Database, project: ProjectKey, body: Body, field: str
) -> None:
    question = {"id": await a_question(database, project.id, scan)}
    answer = await review(client, question, **body)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]


async def test_without_the_engine_a_review_is_refused_and_nothing_half_done(
    unplugged: httpx.AsyncClient, scan: str, database: Database, project: ProjectKey
) -> None:
    question = await a_question(database, project.id, scan)
    assert (await review(unplugged, {"id": question}, status="approved")).status_code == 503
    async with database.transaction() as session:
        assert (await session.get_one(SessionQuestion, question)).status is QuestionStatus.pending


async def test_another_projects_is_unknown(
    stranger: httpx.AsyncClient, scan: str, database: Database, project: ProjectKey
) -> None:
    question = {"id": await a_question(database, project.id, scan)}
    async with database.transaction() as session:
        row = (await session.get_one(SessionQuestion, question["id"])).answering_session_id
    for answer in (
        await stranger.post("/answering-sessions", json={"issueSessionId": scan}),
        await stranger.get(f"/answering-sessions/{row}"),
        await stranger.put(f"/answering-sessions/{row}/status", json={"status": "reviewed"}),
        await stranger.delete(f"/answering-sessions/{row}"),
        await stranger.get("/session-questions", params={"answeringSessionId": row}),
        await review(stranger, question, status="approved"),
        await stranger.put(f"/session-questions/{question['id']}/assumption", json={"assumption": "x"}),
    ):
        assert answer.status_code == 404
