"""Issue sessions that are over, as rows: for tests of what refers to them."""

from kit.database import Database
from models import IssueSession
from models.issues.issue_session import IssueSessionStatus


async def make_issue_session(database: Database, project_id: str, **fields: object) -> str:
    """The id of a completed issue session."""
    row = IssueSession(
        project_id=project_id,
        name="Scan",
        prompt="Look",
        repository_slug="org/repo",
        template_id="base",
        github_repo_url="https://github.com/org/repo",
        timeout_ms=600_000,
    )
    row.sqlmodel_update(fields)
    row.mark_started()
    row.close(IssueSessionStatus.completed)
    async with database.transaction() as session:
        session.add(row)
    return row.id
