"""The end of a sandbox as whoever deletes one asks for it."""

from fastapi import FastAPI

from api.after_commit import AfterCommit
from api.auth import AuthenticatedKey
from api.sandboxes.sandbox_end import end_sandbox
from api.state import UnitOfWork
from models import Sandbox
from models.base import now
from models.projects.project import Role
from tests.conftest import ProjectKey


async def delete_sandbox(app: FastAPI, project: ProjectKey, sandbox_id: str) -> None:
    """What the handler does, its commit, and what follows that."""
    key = AuthenticatedKey(
        project.key_id, project.id, project.member_id, "test", (), now(), None, None, Role.owner
    )
    unit = UnitOfWork(app.state.api, key)
    try:
        sandbox = await unit.session.get_one(Sandbox, sandbox_id, with_for_update=True)
        await end_sandbox(unit.session, AfterCommit(unit), sandbox)
        await unit.commit()
    finally:
        await unit.close()
    await unit.run_after_commit()
