"""What the agents of an answering session are told, and what becomes of what they say.

Each is safe to repeat: an agent, its questions and its answers are found again.
"""

from sqlalchemy import select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.agent.sessions import OpenedSession, find_session, open_session
from activities.issues.prompts import answerer_prompt, answers_prompt, asker_prompt
from activities.jobs.snapshots import load_snapshot
from activities.sandboxes.lifecycle import SandboxRef
from gateways.tools.finish_schemas import AnswererFinish, AskerFinish
from kit.database import Database
from models import AnsweringSession, Issue, IssueSession, Run, SessionQuestion
from models.agent.session_kind import SessionKind
from models.event import EventType, append_event
from models.issues.answering_session import AnsweringStatus
from models.jobs.job import Job
from models.jobs.snapshot import Snapshot
from models.notifications.notification import NotificationType, notify_members


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

    @activity.defn
    async def ask_questions(self, id: str) -> int:
        """The agent's questions as rows that wait for their reviews; how many there are."""
        async with self.database.transaction() as session:
            row = await session.get_one(AnsweringSession, id, with_for_update=True)
            if row.status is not AnsweringStatus.pending:
                return row.question_count
            agent = await find_session(session, id, SessionKind.asker)
            assert agent is not None, "it has just finished"
            asked = AskerFinish.model_validate(agent.result).questions
            row.ask(len(asked))
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

    @activity.defn
    async def keep_answers(self, id: str) -> list[str]:
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
                question.answer = given.get(question.number, question.decided)
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
