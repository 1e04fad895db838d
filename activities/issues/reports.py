"""An issue that a scout reports: a row at once, unless it is known."""

import re

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from gateways.tools.definitions import ReportIssue
from models import Issue, IssueSession, Project
from models.event import EventType, append_event
from models.issues.issue import OPEN_STATUSES, IssuePriority

SCAN_FINISHED_MESSAGE = "The scan is over: nothing is kept any more."


async def report_issue(session: AsyncSession, session_id: str, source_key: str, said: ReportIssue) -> str:
    """Keep the issue, in the caller's transaction; the words in which the scout is answered.

    source_key: of the call; the same call makes one issue however often it is carried out.  Reports of one
    project wait for each other, so that two scans cannot report one thing twice.
    """
    scan = await session.get_one(IssueSession, session_id, with_for_update=True)
    if scan.is_finished:
        return SCAN_FINISHED_MESSAGE
    await session.get_one(Project, scan.project_id, with_for_update={"key_share": True})
    known = await _find_known(session, scan.project_id, source_key, said.title)
    if known is not None and known.source_key == source_key:
        return f"Kept as {known.id}."
    if known is not None:
        return f"Known already as {known.id} ('{known.title}'): not kept again. Go on."
    issue = Issue(
        project_id=scan.project_id,
        title=said.title,
        description=said.description,
        priority=IssuePriority(said.priority),
        suggested_prompt=said.suggested_prompt,
        session_id=scan.id,
        source_key=source_key,
    )
    session.add(issue)
    append_event(session, issue, EventType.issue_created, {"issueSessionId": scan.id})
    scan.issue_count += 1
    data: dict[str, object] = {"issueId": issue.id, "title": issue.title, "priority": issue.priority}
    append_event(session, scan, EventType.issue_found, data)
    return f"Kept as {issue.id}."


async def _find_known(session: AsyncSession, project_id: str, source_key: str, title: str) -> Issue | None:
    """The issue of this very call, or an open one of the same words."""
    statement = select(Issue).where(
        col(Issue.project_id) == project_id,
        col(Issue.deleted_at).is_(None),
        (col(Issue.source_key) == source_key) | col(Issue.status).in_(OPEN_STATUSES),
    )
    issues = (await session.execute(statement)).scalars().all()
    same = [
        each
        for each in issues
        if title_words(each.title) == title_words(title) or each.source_key == source_key
    ]
    return min(same, key=lambda each: each.source_key != source_key, default=None)


def title_words(title: str) -> tuple[str, ...]:
    """A title without what does not tell two issues apart: case, punctuation, order of the words."""
    return tuple(sorted(re.findall(r"\w+", title.lower())))
