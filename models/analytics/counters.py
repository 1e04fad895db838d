"""Counters of a project: how much there is of everything, in one statement that reads indexes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, TextClause, func, select, text
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Wire
from models.base import Record
from models.blueprints.blueprint import Blueprint
from models.blueprints.persona import Persona
from models.chains.chain import ChainStatus
from models.chains.sprint_chain import SprintChain
from models.chains.work_chain import WorkChain
from models.issues.answering_session import AnsweringSession, AnsweringStatus
from models.issues.issue import OPEN_STATUSES, Issue, IssueStatus
from models.issues.issue_session import IssueSession, IssueSessionStatus
from models.issues.session_question import PENDING_CONDITION, SessionQuestion
from models.json_view import example
from models.projects.project import Member
from models.runs.run import Run
from models.sandboxes.sandbox import Sandbox, SandboxStatus
from models.schedules.recurring_task import RecurringTask


class RunCounts(Wire):
    """Runs by their status, without those in the trash."""

    pending: int = 0
    """Runs that wait to be started."""
    running: int = 0
    """Runs at work."""
    paused: int = 0
    """Runs that somebody, or a limit, holds up."""
    completed: int = 0
    """Runs that ended well."""
    failed: int = 0
    """Runs that could not be completed."""
    cancelled: int = 0
    """Runs that somebody ended."""


class Counters(Wire):
    """How much there is in the project right now, without what is in the trash."""

    model_config = example(
        totalRuns=42,
        runsByStatus={
            "pending": 0,
            "running": 2,
            "paused": 1,
            "completed": 35,
            "failed": 3,
            "cancelled": 1,
        },
        activeSandboxes=2,
        pendingIssues=5,
        openIssues=6,
        activeIssueSessions=0,
        pendingQuestions=3,
        activeChains=1,
        activeRecurringTasks=2,
        workflows=4,
        personas=7,
        members=3,
        pendingInvitations=1,
    )
    total_runs: int
    """All runs."""
    runs_by_status: RunCounts
    """The same runs by their status."""
    active_sandboxes: int
    """Sandboxes that are being created, are running or are paused."""
    pending_issues: int
    """Issues that nobody works on yet."""
    open_issues: int
    """Issues that are not done: pending ones, and those at work."""
    active_issue_sessions: int
    """Issue scans that have not ended."""
    pending_questions: int
    """Questions of answering sessions that wait for a review."""
    active_chains: int
    """Work chains and sprint chains that are running or paused."""
    active_recurring_tasks: int
    """Recurring tasks that fire."""
    workflows: int
    """All workflows."""
    personas: int
    """All personas."""
    members: int
    """Members who have accepted."""
    pending_invitations: int
    """Invitations that nobody has accepted yet."""


async def count_project(session: AsyncSession, project_id: str) -> Counters:
    """The counters of one project, all as of the same moment."""

    def number(table: type[Any], *conditions: ColumnElement[bool] | TextClause) -> ScalarSelect[int]:
        where: list[ColumnElement[bool] | TextClause] = [col(table.project_id) == project_id, *conditions]
        if issubclass(table, Record):
            where.append(col(table.deleted_at).is_(None))
        return select(func.count()).select_from(table).where(*where).scalar_subquery()

    def active(table: type[Any], statuses: Sequence[str]) -> ScalarSelect[int]:
        return number(table, col(table.status).in_(statuses))

    by_status = (
        select(col(Run.status).label("status"), func.count().label("number"))
        .where(col(Run.project_id) == project_id, col(Run.deleted_at).is_(None))
        .group_by(col(Run.status))
        .subquery()
    )
    answering = select(col(AnsweringSession.id)).where(
        col(AnsweringSession.project_id) == project_id,
        col(AnsweringSession.status) == AnsweringStatus.active,
        col(AnsweringSession.deleted_at).is_(None),
    )
    waiting = text(f"session_question.{PENDING_CONDITION}")
    chains = [ChainStatus.running, ChainStatus.paused]
    has_accepted, is_there = col(Member.accepted_at).is_not(None), col(Member.removed_at).is_(None)
    numbers = {
        "active_sandboxes": active(
            Sandbox, [SandboxStatus.creating, SandboxStatus.running, SandboxStatus.paused]
        ),
        "pending_issues": active(Issue, [IssueStatus.new]),
        "open_issues": active(Issue, OPEN_STATUSES),
        "active_issue_sessions": active(
            IssueSession, [IssueSessionStatus.pending, IssueSessionStatus.active]
        ),
        "pending_questions": number(
            SessionQuestion, waiting, col(SessionQuestion.answering_session_id).in_(answering)
        ),
        "work_chains": active(WorkChain, chains),
        "sprint_chains": active(SprintChain, chains),
        "active_recurring_tasks": number(RecurringTask, col(RecurringTask.is_active).is_(True)),
        "workflows": number(Blueprint),
        "personas": number(Persona),
        "members": number(Member, is_there, has_accepted),
        "pending_invitations": number(Member, is_there, ~has_accepted),
    }
    runs = select(func.json_object_agg(by_status.c.status, by_status.c.number)).scalar_subquery()
    statement = select(runs.label("runs"), *(count.label(name) for name, count in numbers.items()))
    found = dict((await session.execute(statement)).one()._mapping)
    counts = RunCounts(**(found.pop("runs") or {}))
    return Counters(
        total_runs=sum(counts.model_dump().values()),
        runs_by_status=counts,
        active_chains=found.pop("work_chains") + found.pop("sprint_chains"),
        **found,
    )
