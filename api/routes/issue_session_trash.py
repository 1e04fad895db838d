"""Issue sessions into the trash, out of it, and gone for good."""

from api.answers import One
from api.keys import needs
from api.router import Router
from api.routes.issue_sessions import Sessions
from api.workflows import Session
from kit.errors import Conflict
from models.issue_session import IssueSession
from models.issue_session_wire import (
    IssueSessionId,
    IssueSessionIds,
    IssueSessionRead,
)
from models.issue_wire import DeletedCount
from models.job_removal import remove_job

router = Router("/issue-sessions", "Issue Sessions")
WRITE = needs("issues:write")


@router.post("/delete", WRITE)
async def delete_issue_session(body: IssueSessionId, sessions: Sessions) -> IssueSessionRead:
    """Move an issue session to the trash; its issues stay. One at work has to be cancelled first."""
    row = await sessions.get(body.session_id, lock=True)
    _trash(row)
    return IssueSessionRead.model_validate(row)


@router.post("/bulk-delete", WRITE)
async def bulk_delete_issue_sessions(body: IssueSessionIds, sessions: Sessions) -> DeletedCount:
    """Move several issue sessions to the trash: those that there are, or none when one is at work."""
    found = await sessions.those(body.session_ids)
    for row in found:
        _trash(row)
    return DeletedCount(count=len(found))


@router.post("/restore", WRITE)
async def restore_issue_session(body: IssueSessionId, sessions: Sessions) -> One[IssueSessionRead]:
    """Bring an issue session back from the trash."""
    row = await sessions.get(body.session_id, lock=True, trashed=None)
    if row.deleted_at is None:
        raise Conflict("The issue session is not in the trash.")
    row.restore()
    return sessions.one(row.id)


@router.post("/permanent-delete", WRITE)
async def permanently_delete_issue_session(
    body: IssueSessionId, sessions: Sessions, session: Session
) -> IssueSessionRead:
    """Remove an issue session for good, with its conversation; its issues stay."""
    row = await sessions.get(body.session_id, lock=True, trashed=None)
    _must_be_over(row)
    gone = IssueSessionRead.model_validate(row)
    await remove_job(session, row)
    return gone


def _trash(row: IssueSession) -> None:
    _must_be_over(row)
    row.trash()


def _must_be_over(row: IssueSession) -> None:
    if not row.is_over:
        raise Conflict(f"The issue session is {row.status}: cancel it first.")
