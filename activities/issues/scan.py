"""What an issue session's workflow writes: short transactions on our own database, as local activities.

Each is safe to repeat: its agent is found again, and an ending that is there stays.
"""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.agent.sessions import OpenedSession, find_session, open_session
from activities.jobs.lifecycle import CloseJob, ReadingPlan
from activities.jobs.snapshots import load_snapshot
from activities.sandboxes.lifecycle import SandboxRef
from gateways.tools.finish_schemas import ScoutFinish
from kit.database import Database
from models import Issue, IssueSession
from models.agent.sections import trusted_section, untrusted_section
from models.agent.session_kind import SessionKind
from models.assets.slash_commands import expand_slash_commands
from models.base import JsonObject
from models.event import EventType, append_event
from models.issues.issue import OPEN_STATUSES
from models.issues.issue_session import IssueSessionStatus

MAX_KNOWN_ISSUES = 200
"""Open issues that a scout is told of, the latest ones; the others are compared when it reports."""


class IssueScanActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def begin_issue_session(self, session_id: str) -> ReadingPlan | None:
        """Take it, unless the API already did; None when it was cancelled before it began."""
        async with self.database.transaction() as session:
            row = await session.get_one(IssueSession, session_id, with_for_update=True)
            if row.is_finished:
                return None
            if row.mark_started():
                append_event(session, row, EventType.issue_session_started)
            return ReadingPlan(time_limit_seconds=row.timeout_ms // 1000)

    @activity.defn(name="open_scout")
    async def open_scan_agent(self, ref: SandboxRef) -> OpenedSession:
        """The scout's session, told what to look for and what is known already."""
        snapshot = await load_snapshot(self.database, ref.job_id)
        async with self.database.transaction() as session:
            row = await session.get_one(IssueSession, ref.job_id, with_for_update=True)
            found = await find_session(session, row.id, SessionKind.scout)
            if found is None:
                commands = expand_slash_commands(snapshot.commands, row.prompt)
                task = "\n\n".join([trusted_section("task", row.prompt), *commands])
                prompt = task + await _known_issues_prompt(session, row.project_id)
                found = await open_session(
                    session,
                    row,
                    snapshot,
                    snapshot.steps[0],
                    SessionKind.scout,
                    prompt,
                    sandbox_id=ref.sandbox_id,
                )
            return OpenedSession.of(found)

    @activity.defn
    async def close_issue_session(self, close: CloseJob) -> IssueSessionStatus:
        """The last word, with what its agent finished with; the first ending stays."""
        ending = close.ending
        async with self.database.transaction() as session:
            row = await session.get_one(IssueSession, close.job_id, with_for_update=True)
            if row.close(IssueSessionStatus(ending.status), code=ending.code, message=ending.message):
                agent = await find_session(session, row.id, SessionKind.scout)
                if agent and agent.result:
                    said = ScoutFinish.model_validate(agent.result)
                    row.set_result(said.summary, said.questions, said.assumptions)
                data: JsonObject = {"status": row.status, "code": ending.code, "issueCount": row.issue_count}
                append_event(session, row, EventType.issue_session_ended, data)
            return row.status


async def _known_issues_prompt(session: AsyncSession, project_id: str) -> str:
    statement = (
        select(col(Issue.title))
        .where(
            col(Issue.project_id) == project_id,
            col(Issue.status).in_(OPEN_STATUSES),
            col(Issue.deleted_at).is_(None),
        )
        .order_by(col(Issue.id).desc())
        .limit(MAX_KNOWN_ISSUES)
    )
    titles = (await session.execute(statement)).scalars().all()
    listed = "\n".join(f"- {title}" for title in titles)
    return f"\n\n{untrusted_section('known-issues', listed)}" if titles else ""
