"""Issues: written down, changed, linked to the run that works on them, and deleted."""

from typing import Annotated

from fastapi import Query

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from models.event import EventType, append_event
from models.issues.issue import Issue, IssueStatus, delete_issues, link_run, require_issue_session
from models.issues.issue_schemas import (
    ISSUES,
    DeletedCount,
    IssueCreate,
    IssueFilter,
    IssueLink,
    IssueRead,
    IssueRef,
    IssueRefs,
    IssueUpdate,
)
from models.runs.run import Run
from models.runs.run_schemas import RUNS, RunRead

router = Router("/issues", "Issues")
READ, WRITE = requires("issues:read"), requires("issues:write")
Issues = Annotated[ProjectRows[Issue, IssueRead], project_rows(ISSUES)]
Runs = Annotated[ProjectRows[Run, RunRead], project_rows(RUNS)]


class IssueList(PageQuery):
    status: IssueFilter | None = None
    """Only issues of this status; `open` means new or running."""
    session_id: str | None = None
    """Only issues of this issue session."""

    def filters(self) -> dict[str, object]:
        is_open = {"status": [each for each in IssueStatus if each.is_open]}
        return super().filters() | (is_open if self.status == "open" else {})


@router.get("", READ, name="list_issues_legacy")
@router.get("/list", READ)
async def list_issues(issues: Issues, window: Annotated[IssueList, Query()]) -> ItemPage[IssueRead]:
    """List the project's issues, newest first; the status `open` means new or running."""
    return issues.page(window)


@router.get("/get", READ)
async def get_issue(id: str, issues: Issues) -> Item[IssueRead]:
    """Get one issue."""
    return issues.item(id)


@router.post("/create", WRITE, creates=True)
async def create_issue(body: IssueCreate, issues: Issues, session: DbSession) -> Item[IssueRead]:
    """Create an issue."""
    if body.session_id is not None:
        await require_issue_session(session, issues.unit.key.project_id, body.session_id)
    issue = issues.add(**body.model_dump())
    append_event(session, issue, EventType.issue_created)
    return issues.item(issue.id)


@router.post("/update", WRITE)
async def update_issue(body: IssueUpdate, issues: Issues) -> Item[IssueRead]:
    """Change an issue; a run that works on it already is not told."""
    issue = await issues.get(body.issue_id, lock=True)
    issue.change(**body.model_dump(exclude_unset=True, exclude={"issue_id"}))
    return issues.item(issue.id)


@router.post("/delete", WRITE)
async def delete_issue(body: IssueRef, issues: Issues, session: DbSession) -> IssueRead:
    """Delete an issue; a run that works on it goes on."""
    issue = await issues.get(body.issue_id)
    await delete_issues(session, issue.project_id, [issue.id])
    return IssueRead.model_validate(issue)


@router.post("/link-run", WRITE)
async def link_issue_to_run(
    body: IssueLink, issues: Issues, runs: Runs, session: DbSession
) -> Item[IssueRead]:
    """Link a run to an issue: from now on the issue is running, completed or failed as the run is."""
    run = await runs.get(body.run_id, lock=True)
    issue = await issues.get(body.issue_id, lock=True)
    link_run(session, issue, run)
    return issues.item(issue.id)


@router.post("/bulk-delete", WRITE)
async def delete_issues_in_bulk(body: IssueRefs, issues: Issues, session: DbSession) -> DeletedCount:
    """Delete many issues; ids that are unknown, or deleted already, are passed over."""
    count = await delete_issues(session, issues.unit.key.project_id, body.issue_ids)
    return DeletedCount(count=count)
