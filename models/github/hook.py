"""A hook: where GitHub tells of one project's repositories, signed with a secret of that project's own."""

import secrets
from datetime import datetime
from typing import Final

from sqlmodel import Field, col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict, NotFound
from kit.ids import is_id, prefixed
from models.base import Table, Timestamp, now
from models.projects.project import Project
from models.webhooks.secret_rotation import SecretRotation

MAX_HOOKS: Final = 50
"""Of one project."""
HOOK_NOT_FOUND: Final = "There is no such hook here: it was never made, or it was deleted."


def new_hook_secret() -> str:
    """256 bits of chance, for GitHub's field “Secret”."""
    return secrets.token_urlsafe(32)


class GithubHook(SecretRotation, Table, table=True):
    """Whoever knows its secret can tell of rows of its project, and of nothing else."""

    id: str = Field(default_factory=prefixed("ghk"), primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    description: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


async def create_hook(
    session: AsyncSession, project_id: str, description: str | None, sealed: str
) -> GithubHook:
    """A new hook of a project; Conflict when that has enough."""
    count = select(func.count()).where(col(GithubHook.project_id) == project_id)
    if (await session.exec(count)).one() >= MAX_HOOKS:
        raise Conflict(f"A project has {MAX_HOOKS} hooks at most: delete one first.")
    hook = GithubHook(project_id=project_id, description=description, secret=sealed)
    session.add(hook)
    return hook


async def find_hook(session: AsyncSession, hook_id: str) -> GithubHook:
    """A hook of a project that is there; NotFound otherwise."""
    if not is_id(hook_id, "ghk"):
        raise NotFound(HOOK_NOT_FOUND)
    statement = (
        select(GithubHook)
        .join(Project, col(Project.id) == col(GithubHook.project_id))
        .where(col(GithubHook.id) == hook_id, col(Project.deleted_at).is_(None))
    )
    if (hook := (await session.exec(statement)).one_or_none()) is None:
        raise NotFound(HOOK_NOT_FOUND)
    return hook
