"""Answering sessions: what their workflow writes, what their agents are asked, what becomes of the answers.

Short transactions on our own database.  Each is safe to repeat: an agent, its questions and its answers are
found again; a status that is already there, and an ending that is there, stay.
"""

from pydantic import BaseModel
from sqlalchemy import select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.agent.sessions import OpenedSession, find_session, open_session
from activities.issues.prompts import answerer_prompt, answers_prompt, asker_prompt
from activities.jobs.lifecycle import CloseJob
from activities.jobs.snapshots import load_snapshot
from activities.sandboxes.lifecycle import SandboxRef
from gateways.tools.finish_schemas import AnswererFinish, AskerFinish
from kit.database import Database
from models import AnsweringSession, Issue, IssueSession, Run, SessionQuestion
from models.agent.session_kind import SessionKind
from models.base import JsonObject
from models.event import EventType, append_event
from models.issues.answering_session import AnsweringStatus
from models.issues.session_question import QuestionStatus
from models.jobs.job import Job
from models.jobs.snapshot import Snapshot
from models.notifications.notification import NotificationType, notify_members


class AnsweringPlan(BaseModel):
    issue_session_id: str
    time_limit_seconds: int
    """Of each of its two agents; the reviews may take as long as they take."""


class Review(BaseModel):
    question_id: str
    status: QuestionStatus
    correction: str | None
    reviewed_by: str
    """The member."""


class AnsweringActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_answering(self, id: str) -> AnsweringPlan | None:
        """Take it, unless the API already did; None when it was archived before it began."""
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, id, with_for_update=True)
            if row.is_finished:
                return None
            row.mark_started()
            return AnsweringPlan(
                issue_session_id=row.issue_session_id, time_limit_seconds=row.time_limit_seconds
            )

    @activity.defn
    async def has_scan_ended(self, issue_session_id: str) -> bool:
        """Whether the issue session is over, however it ended; read only."""
        async with self.database.transaction() as session:
            scan = await session.get(IssueSession, issue_session_id)
        if scan is None or scan.deleted_at:
            raise ApplicationError(
                "Its issue session was deleted.", type="ISSUE_SESSION_GONE", non_retryable=True
            )
        return scan.is_finished

    @activity.defn
    async def record_review(self, review: Review) -> int:
        """A review on its question and in the log; how many questions of the session wait for theirs.

        The same review again changes nothing, another one is a Conflict.
        """
        async with self.database.transaction() as session:
            question = await session.get_one(SessionQuestion, review.question_id, with_for_update=True)
            row = await session.get_one(AnsweringSession, question.answering_session_id, with_for_update=True)
            if question.review(review.status, review.correction, review.reviewed_by):
                row.reviewed_count += 1
                data: JsonObject = {
                    "questionId": question.id,
                    "status": question.status,
                    "reviewedBy": question.reviewed_by,
                }
                append_event(session, row, EventType.question_reviewed, data)
            return row.question_count - row.reviewed_count

    @activity.defn
    async def accept_reviews(self, id: str) -> None:
        """All is reviewed; where a review is missing, the assumption holds."""
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, id, with_for_update=True)
            if row.mark_reviewed():
                data: JsonObject = {"reviewed": row.reviewed_count, "of": row.question_count}
                append_event(session, row, EventType.answering_reviewed, data)

    @activity.defn
    async def close_answering(self, close: CloseJob) -> AnsweringStatus:
        """The last word; the first ending stays.  One that is cancelled in the engine has failed."""
        ending = close.ending
        completed = ending.status == "completed"
        status = AnsweringStatus.completed if completed else AnsweringStatus.failed
        code = ending.code if ending.status != "cancelled" else "CANCELLED"
        message = ending.message or (None if completed else "It was cancelled in the engine.")
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, close.job_id, with_for_update=True)
            if row.close(status, code=code, message=message):
                append_event(session, row, EventType.answering_ended, {"status": row.status, "code": code})
            return row.status


class QuestionActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def open_asker(self, ref: SandboxRef) -> OpenedSession:
        """The session of the agent that asks, told what the scan found."""
        snapshot = await load_snapshot(self.database, ref.job_id)
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, ref.job_id, with_for_update=True)
            scan = await session.get_one(IssueSession, row.issue_session_id)
            prompt = asker_prompt(scan, await load_issues(session, row), snapshot.commands)
            return await _open_agent_session(
                session, row, snapshot, SessionKind.asker, prompt, ref.sandbox_id
            )

    @activity.defn(name="ask_questions")
    async def save_questions(self, id: str) -> int:
        """The agent's questions as rows that wait for their reviews; how many there are."""
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, id, with_for_update=True)
            if row.status is not AnsweringStatus.pending:
                return row.question_count
            agent = await find_session(session, id, SessionKind.asker)
            assert agent is not None, "it has just finished"
            asked = AskerFinish.model_validate(agent.result).questions
            row.publish_questions(len(asked))
            for number, each in enumerate(asked, 1):
                session.add(
                    SessionQuestion(
                        project_id=row.project_id, answering_session_id=id, number=number, **each.model_dump()
                    )
                )
            event = append_event(session, row, EventType.answering_asked, {"questionCount": len(asked)})
            if asked:
                what = f"{len(asked)} question{'s wait' if len(asked) > 1 else ' waits'} for your review"
                data: dict[str, object] = {"answeringSessionId": id, "issueSessionId": row.issue_session_id}
                kind = NotificationType.question_pending
                await notify_members(session, event, kind, what, asked[0].question, data)
            return len(asked)

    @activity.defn
    async def open_answerer(self, ref: SandboxRef) -> OpenedSession:
        """The session of the agent that answers for good, told what was decided."""
        snapshot = await load_snapshot(self.database, ref.job_id)
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, ref.job_id, with_for_update=True)
            questions = await load_questions(session, row.id)
            prompt = answerer_prompt(questions, await load_issues(session, row))
            return await _open_agent_session(
                session, row, snapshot, SessionKind.answerer, prompt, ref.sandbox_id
            )

    @activity.defn(name="keep_answers")
    async def save_answers(self, id: str) -> list[str]:
        """The final answers on the questions and on the issues; the runs at work on those, to be told.

        A question that the agent left out is answered by what was decided.
        """
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, id, with_for_update=True)
            agent = await find_session(session, id, SessionKind.answerer)
            assert agent is not None, "it has just finished"
            given = {each.number: each.answer for each in AnswererFinish.model_validate(agent.result).answers}
            questions = await load_questions(session, id)
            for question in questions:
                question.answer = given.get(question.number, question.decision)
            found = await load_issues(session, row)
            ids = [issue.id for issue in found]
            told = answers_prompt(questions)
            await session.execute(update(Issue).where(col(Issue.id).in_(ids)).values(answers=told))
            at_work = select(col(Run.id)).where(
                col(Run.id).in_([issue.run_id for issue in found if issue.run_id]),
                col(Run.completed_at).is_(None),
                col(Run.deleted_at).is_(None),
            )
            return list((await session.execute(at_work.order_by(col(Run.id)))).scalars())


async def load_questions(session: AsyncSession, id: str) -> list[SessionQuestion]:
    """All questions of an answering session, in order."""
    statement = (
        select(SessionQuestion)
        .where(col(SessionQuestion.answering_session_id) == id)
        .order_by(col(SessionQuestion.number))
    )
    return list((await session.execute(statement)).scalars())


async def load_issues(session: AsyncSession, row: AnsweringSession) -> list[Issue]:
    """What the scan found, without what was deleted since."""
    statement = (
        select(Issue)
        .where(col(Issue.session_id) == row.issue_session_id, col(Issue.deleted_at).is_(None))
        .order_by(col(Issue.id))
    )
    return list((await session.execute(statement)).scalars())


async def _open_agent_session(
    session: AsyncSession, row: Job, snapshot: Snapshot, kind: SessionKind, prompt: str, sandbox_id: str
) -> OpenedSession:
    agent = await find_session(session, row.id, kind)
    if agent is None:
        told = snapshot.steps[0 if kind is SessionKind.asker else 1]
        agent = await open_session(session, row, snapshot, told, kind, prompt, sandbox_id=sandbox_id)
    return OpenedSession.of(agent)
