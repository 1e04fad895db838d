"""What is reported for a job that is over is kept from its log: a cancel may overtake a call."""

from sqlmodel import col, select

from activities.issues.reports import SCAN_FINISHED_MESSAGE, report_issue
from gateways.tools.definitions import ReportIssue
from kit.database import Database
from models import Event, Issue, IssueSession, MergeJob
from models.issues.issue_session import IssueSessionStatus
from models.merging.merge_job import MergeKind, MergeStatus, record_pull_request_outcome
from tests.conftest import ProjectKey
from tests.support.issue_scan_rows import make_issue_session

LEAK = ReportIssue(title="A leak", description="It leaks.", priority="high", suggested_prompt="Mend it.")


async def test_a_scan_that_is_over_keeps_no_issue(database: Database, project: ProjectKey) -> None:
    scan_id = await make_issue_session(database, project.id)
    async with database.transaction() as session:
        assert await report_issue(session, scan_id, "call-1", LEAK) == SCAN_FINISHED_MESSAGE
    async with database.transaction() as session:
        scan = await session.get_one(IssueSession, scan_id)
        assert (scan.status, scan.issue_count, scan.event_seq) == (IssueSessionStatus.completed, 0, 0)
        assert (await session.exec(select(Issue).where(col(Issue.session_id) == scan_id))).all() == []


async def test_a_merge_that_is_over_settles_nothing(database: Database, project: ProjectKey) -> None:
    job = MergeJob(
        project_id=project.id,
        name="Merge",
        kind=MergeKind.integration,
        github_repo_url="u",
        repository_slug="o/r",
        pull_requests=[{"prUrl": "u/1", "prNumber": 1}],
        requested_by=project.member_id,
    )
    job.close(MergeStatus.failed, "CANCELLED", "It was cancelled.")
    async with database.transaction() as session:
        session.add(job)
        await session.flush()
        record_pull_request_outcome(session, job, 1, "merged")
    async with database.transaction() as session:
        events = await session.exec(select(Event).where(col(Event.subject_id) == job.id))
        assert events.all() == []
