"""What an answering session's workflow writes: short transactions on our own database, as local activities.

Each is safe to repeat: a status that is already there, and an ending that is there, stay.
"""

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.jobs.lifecycle import CloseJob
from kit.database import Database
from models import AnsweringSession, IssueSession, SessionQuestion
from models.base import JsonObject
from models.event import EventType, append_event
from models.issues.answering_session import AnsweringStatus
from models.issues.session_question import QuestionStatus


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
            if row.is_over:
                return None
            row.take()
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
        return scan.is_over

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
            if row.accept():
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
