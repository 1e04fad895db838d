"""Session questions: listed and reviewed."""

from typing import Annotated

from fastapi import Query

from api.after_commit import AfterCommitDep
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.issues.answering_sessions import Sessions
from kit.errors import Conflict
from models.issues.answering_session import AnsweringStatus
from models.issues.answering_session_schemas import (
    SESSION_QUESTIONS,
    AssumptionUpdate,
    QuestionReview,
    SessionQuestionRead,
)
from models.issues.session_question import QuestionStatus, SessionQuestion

router = Router("/session-questions", "Session Questions")
READ, WRITE = requires("issues:read"), requires("issues:write")
Questions = Annotated[ProjectRows[SessionQuestion, SessionQuestionRead], project_rows(SESSION_QUESTIONS)]


class SessionQuestionList(PageQuery):
    answering_session_id: str
    """The answering session's id."""


@router.get("", READ)
async def list_session_questions(
    sessions: Sessions, questions: Questions, window: Annotated[SessionQuestionList, Query()]
) -> ItemPage[SessionQuestionRead]:
    """List the questions of an answering session, the most important first."""
    await sessions.get(window.answering_session_id)
    return questions.page(window, descending=False)


@router.put("/{id}/review", WRITE)
async def review_session_question(
    id: str, body: QuestionReview, sessions: Sessions, questions: Questions, workflows: AfterCommitDep
) -> Item[SessionQuestionRead]:
    """Approve the agent's assumption, or decline it with the right answer.

    A review is final: the same one again changes nothing, another one is refused with 409, and so is one that
    comes after the session went on. With the last review the agent goes on.
    """
    question = await questions.get(id)
    asked, correction = QuestionStatus(body.status), body.correction and body.correction.strip()
    if question.status is QuestionStatus.pending:
        session = await sessions.get(question.answering_session_id)
        if session.status is not AnsweringStatus.active:
            raise Conflict(f"The answering session is {session.status}: its reviews are closed.")
        by = questions.unit.key.member_id
        workflows.update(session.id, "review", question.id, asked, correction or "", by)
    else:
        question.review(asked, correction, questions.unit.key.member_id)
    return questions.item(question.id)


@router.put("/{id}/assumption", WRITE)
async def update_session_question_assumption(
    id: str, body: AssumptionUpdate, questions: Questions
) -> Item[SessionQuestionRead]:
    """Change what the agent assumes, without reviewing it; 409 once the question is reviewed."""
    question = await questions.get(id, lock=True)
    question.set_assumption(body.assumption)
    return questions.item(question.id)
