"""Answering sessions told to go on, and archived."""

from api.after_commit import AfterCommitDep
from api.auth import requires
from api.http.responses import Item
from api.http.router import Router
from api.routes.issues.answering_sessions import Sessions
from kit.errors import Conflict
from models.issues.answering_session import AnsweringSession, AnsweringStatus
from models.issues.answering_session_schemas import AnsweringSessionRead, AnsweringStatusUpdate

router = Router("/answering-sessions/{id}", "Answering Sessions")
WRITE = requires("issues:write")


@router.put("/status", WRITE)
async def update_answering_status(
    id: str, body: AnsweringStatusUpdate, sessions: Sessions, workflows: AfterCommitDep
) -> Item[AnsweringSessionRead] | AnsweringSessionRead:
    """Say that all is `reviewed`, so that the agent goes on; or archive the session.

    pending → active → reviewed → completed, and archived from anywhere. All other steps happen by themselves:
    409. Questions without a review are answered by their assumption.
    """
    row = await sessions.get(id, lock=True)
    wanted = AnsweringStatus(body.status)
    if wanted is AnsweringStatus.archived:
        return _archive(row, sessions, workflows)
    if wanted is row.status:
        return sessions.item(row.id)
    if (row.status, wanted) != (AnsweringStatus.active, AnsweringStatus.reviewed):
        raise Conflict(f"The answering session is {row.status} and cannot be made {wanted}.")
    workflows.update(row.id, "accept")
    return sessions.item(row.id)


@router.delete("", WRITE)
async def archive_answering_session(
    id: str, sessions: Sessions, workflows: AfterCommitDep
) -> AnsweringSessionRead:
    """Archive an answering session: it moves to the trash, and stops if it is at work."""
    return _archive(await sessions.get(id, lock=True), sessions, workflows)


def _archive(row: AnsweringSession, sessions: Sessions, workflows: AfterCommitDep) -> AnsweringSessionRead:
    if not row.is_finished:
        workflows.cancel(row.id, certain=False)
    row.archive(sessions.unit.key.member_id)
    return AnsweringSessionRead.model_validate(row)
