"""Answers for a run reach it, whether its workflow has begun yet or not."""

from datetime import timedelta

import pytest
from sqlmodel import col, select
from temporalio.client import Client

from activities.issues.answer_delivery import AnswerDelivery, AnswerRecipient
from kit.database import Database
from kit.ids import new_id
from models import AnsweringSession, FollowUp, Run, SessionQuestion
from models.runs.run import RunStatus
from tests.conftest import ProjectKey


@pytest.fixture
async def ask(database: Database, project: ProjectKey, run: Run) -> AnswerRecipient:
    row = AnsweringSession(
        project_id=project.id,
        name="Answers",
        github_repo_url="u",
        repository_slug="o/r",
        issue_session_id=new_id("is"),
        time_limit_seconds=round(timedelta(hours=1).total_seconds()),
    )
    question = SessionQuestion(
        project_id=project.id,
        answering_session_id=row.id,
        number=1,
        question="Which one?",
        assumption="The first.",
        answer="The first.",
    )
    async with database.transaction() as session:
        session.add(row)
        await session.flush()
        session.add(question)
    return AnswerRecipient(answering_session_id=row.id, run_id=run.id)


async def queued(database: Database, run: Run) -> list[str]:
    async with database.transaction() as session:
        found = await session.exec(select(FollowUp).where(col(FollowUp.job_id) == run.id))
        return [message.status for message in found.all()]


async def test_answers_for_a_run_that_has_no_workflow_yet_stay_queued(
    database: Database, engine: Client, ask: AnswerRecipient, run: Run
) -> None:
    activities = AnswerDelivery(database, engine)
    for _ in range(2):
        assert await activities.send_answers_to_run(ask)
    assert await queued(database, run) == ["queued"]


async def test_no_answers_are_sent_to_a_run_that_ended_before_it_began(
    database: Database, engine: Client, ask: AnswerRecipient, run: Run
) -> None:
    activities = AnswerDelivery(database, engine)
    assert await activities.send_answers_to_run(ask)
    async with database.transaction() as session:
        (await session.get_one(Run, run.id)).close(RunStatus.cancelled)
    assert not await activities.send_answers_to_run(ask)
