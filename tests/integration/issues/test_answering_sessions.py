"""Answering sessions on the real site: asked, reviewed, answered, and told to those who do the work."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlmodel import col
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.issues.answer_delivery import AnswerDelivery, AnswerRecipient
from activities.jobs.launch import start_row
from models import (
    AnsweringSession,
    Event,
    FollowUp,
    Issue,
    IssueSession,
    Message,
    Notification,
    Project,
    SessionQuestion,
)
from models.event import EventType
from models.issues.answering_session import AnsweringStatus
from models.issues.answering_session_start import create_answering_session
from models.issues.session_question import QuestionStatus
from models.notifications.notification import NotificationType
from models.runs.run import RunStatus
from tests.integration.issues.test_issue_sessions import a_scan, report
from tests.integration.issues.test_issue_sessions import start as start_scan
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.scenarios import bash, finish, register_scenario, tool_calls, with_delay
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

ANSWER = register_scenario(
    "final-answer",
    finish("Wrote them down.", answers=[{"number": 1, "answer": "Store it in a cookie."}]),
)
FIRST = {"question": f"Should it persist? {ANSWER}", "assumption": "Yes, in localStorage."}
SECOND = {"question": "For guests, too?", "assumption": "Yes."}
ASK = register_scenario(
    "ask-questions",
    finish("Asked.", questions=[{"question": "No assumption"}]),
    finish("Asked.", questions=[FIRST, SECOND]),
    told="</scan>",
)
register_scenario("ask-questions", tool_calls(report(f"Dark mode is forgotten {ANSWER}")), finish("Scanned."))
QUIET = register_scenario("nothing-to-ask", finish("All is clear.", questions=[]), told="</scan>")
register_scenario("nothing-to-ask", finish("Scanned."))
WORK = register_scenario(
    "answered-work", bash("echo a > a.txt"), with_delay(bash("sleep 1"), 30), finish("Worked.")
)


async def a_session(site: Installation, word: str = ASK, project: Project | None = None) -> AnsweringSession:
    """An answering session of a scan, both of them started."""
    project = project or await site.project()
    scan = await start_scan(site, await a_scan(site, word, project))
    return await answering(site, scan)


async def answering(site: Installation, scan: IssueSession) -> AnsweringSession:
    async with site.database.transaction() as session:
        project = await session.get_one(Project, scan.project_id)
        model = site.settings.default_model
        row = await create_answering_session(session, project, scan, default_model=model)
    await start_row(site.client, row)
    return row


async def read(site: Installation, row: AnsweringSession) -> AnsweringSession:
    [found] = await site.rows(AnsweringSession, col(AnsweringSession.id) == row.id, col(AnsweringSession.id))
    return found


async def reaches(
    site: Installation,
    row: AnsweringSession,
    *wanted: AnsweringStatus,
    patience: float = TEST_TIMEOUT_SECONDS,
) -> AnsweringSession:
    async def is_there() -> bool:
        return (await read(site, row)).status in wanted

    await wait_until(is_there, f"{row.id} is {wanted}", patience)
    return await read(site, row)


async def questions_of(site: Installation, row: AnsweringSession) -> list[SessionQuestion]:
    of_session = col(SessionQuestion.answering_session_id) == row.id
    return await site.rows(SessionQuestion, of_session, col(SessionQuestion.number))


async def review(site: Installation, question: SessionQuestion, status: str, correction: str = "") -> None:
    """As the API passes it on; WorkflowUpdateFailedError when the workflow refuses."""
    handle = site.client.get_workflow_handle(question.answering_session_id)
    await handle.execute_update("review", args=[question.id, status, correction, "user_1"])


async def holds(site: Installation, row: AnsweringSession) -> None:
    """What holds for every one that completed after two reviews."""
    found = await read(site, row)
    assert (found.status, found.error_code) == (AnsweringStatus.completed, None)
    assert (found.question_count, found.reviewed_count) == (2, 2)
    first, second = await questions_of(site, row)
    assert (first.question, first.answer) == (FIRST["question"], "Store it in a cookie.")
    assert (first.status, first.correction) == (QuestionStatus.declined, "No, in a cookie.")
    assert (second.status, second.answer) == (QuestionStatus.approved, "Yes.")
    assert await site.sandboxes.find({"job": row.id}) == []
    events = await site.rows(Event, col(Event.subject_id) == row.id, col(Event.seq))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    kinds = [event.type for event in events]
    for kind in (EventType.answering_asked, EventType.answering_reviewed, EventType.answering_ended):
        assert kinds.count(kind) == 1
    assert kinds.count(EventType.question_reviewed) == 2
    told = await site.rows(Notification, col(Notification.project_id) == row.project_id, col(Notification.id))
    assert [each.type for each in told].count(NotificationType.question_pending) == 1
    issues = await site.rows(Issue, col(Issue.session_id) == row.issue_session_id, col(Issue.id))
    assert [str(issue.answers).count("Store it in a cookie.") for issue in issues] == [1]


async def reviewed(site: Installation, row: AnsweringSession) -> None:
    first, second = await questions_of(site, row)
    await review(site, first, "declined", "No, in a cookie.")
    await review(site, second, "approved")


async def test_it_asks_waits_and_answers(site: Installation) -> None:
    row = await a_session(site)
    asked = await reaches(site, row, AnsweringStatus.active)
    assert (asked.question_count, asked.reviewed_count) == (2, 0)
    first, second = await questions_of(site, row)
    assert (first.assumption, first.status, second.number) == (FIRST["assumption"], "pending", 2)
    await review(site, first, "declined", "No, in a cookie.")
    await review(site, first, "declined", "No, in a cookie.")
    with pytest.raises(WorkflowUpdateFailedError):
        await review(site, first, "approved")
    assert (await read(site, row)).reviewed_count == 1
    await review(site, second, "approved")
    await reaches(site, row, AnsweringStatus.completed, AnsweringStatus.failed)
    await holds(site, row)


async def test_the_runs_of_its_issues_are_told(site: Installation) -> None:
    project = await site.project()
    row = await a_session(site, project=project)
    await reaches(site, row, AnsweringStatus.active)
    run = await site.start(f"Work {WORK}", project=project)
    await site.until(run, EventType.tool_completed)
    async with site.database.transaction() as session:
        [issue] = await site.rows(Issue, col(Issue.session_id) == row.issue_session_id, col(Issue.id))
        (await session.get_one(Issue, issue.id, with_for_update=True)).follow(await site.read(run))
    await reviewed(site, row)
    await reaches(site, row, AnsweringStatus.completed, AnsweringStatus.failed)
    again = AnswerDelivery(site.database, site.client)
    assert await again.send_answers_to_run(AnswerRecipient(answering_session_id=row.id, run_id=run.id))
    assert (await site.ended(run)).status is RunStatus.completed
    [message] = await site.rows(FollowUp, col(FollowUp.job_id) == run.id, col(FollowUp.id))
    assert (message.status, "Store it in a cookie." in message.content) == ("delivered", True)
    said = await site.rows(Message, col(Message.session_id) == str(message.session_id), col(Message.sequence))
    assert sum("Store it in a cookie." in str(each.content) for each in said) == 1
    assert not await again.send_answers_to_run(AnswerRecipient(answering_session_id=row.id, run_id=run.id)), (
        "it is over"
    )


async def test_told_to_go_on_the_assumptions_hold(site: Installation) -> None:
    row = await a_session(site)
    await reaches(site, row, AnsweringStatus.active)
    await site.client.get_workflow_handle(row.id).execute_update("accept")
    done = await reaches(site, row, AnsweringStatus.completed, AnsweringStatus.failed)
    assert (done.status, done.reviewed_count) == (AnsweringStatus.completed, 0)
    first, second = await questions_of(site, row)
    assert (first.answer, second.answer) == ("Store it in a cookie.", "Yes.")
    with pytest.raises(RPCError, match="already completed"):
        await review(site, second, "approved")


async def test_without_questions_nobody_is_waited_for(site: Installation) -> None:
    row = await a_session(site, QUIET)
    done = await reaches(site, row, AnsweringStatus.completed, AnsweringStatus.failed)
    assert (done.status, done.question_count) == (AnsweringStatus.completed, 0)


async def test_without_its_issue_session_it_fails_with_a_reason(site: Installation) -> None:
    scan = await a_scan(site, ASK)
    async with site.database.transaction() as session:
        (await session.get_one(IssueSession, scan.id)).trash()
    row = await answering(site, scan)
    failed = await reaches(site, row, AnsweringStatus.failed)
    assert failed.error_code == "ISSUE_SESSION_GONE"


async def kill_while_asking(site: Installation, row: AnsweringSession) -> None:
    await site.workers[-1].stop(patience=0.0)
    await site.start_worker()
    await reaches(site, row, AnsweringStatus.active)
    await reviewed(site, row)


async def kill_while_waiting(site: Installation, row: AnsweringSession) -> None:
    await reaches(site, row, AnsweringStatus.active)
    first, second = await questions_of(site, row)
    await review(site, first, "declined", "No, in a cookie.")
    await site.workers[-1].stop(patience=0.0)
    late = asyncio.create_task(review(site, second, "approved"))
    await asyncio.sleep(0.5)
    await site.start_worker()
    await late


async def kill_while_answering(site: Installation, row: AnsweringSession) -> None:
    await reaches(site, row, AnsweringStatus.active)
    await reviewed(site, row)
    await reaches(site, row, AnsweringStatus.reviewed)
    await site.workers[-1].stop(patience=0.0)
    await site.start_worker()


@pytest.mark.soak
@pytest.mark.parametrize("when", [kill_while_asking, kill_while_waiting, kill_while_answering])
async def test_it_survives_the_kill_of_its_worker(
    parts: Servers, tmp_path: Path, when: Callable[[Installation, AnsweringSession], Awaitable[None]]
) -> None:
    name = when.__name__.replace("_", "-")
    async with open_installation(parts, f"answering-{name}", tmp_path / "site") as site:
        await site.start_worker()
        row = await a_session(site)
        await when(site, row)
        await reaches(site, row, AnsweringStatus.completed, AnsweringStatus.failed)
        await holds(site, row)
