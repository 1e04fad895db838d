"""Allowed repositories: those that a project may work on with the server's own access to GitHub.

The operator lists them; there is no other rule about whose a repository is.  A project with a GitHub key of
its own needs no list: that key says what it may do.
"""

import re
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Exists, exists, or_, select
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import RepositoryNotAllowed
from models.base import Table, Timestamp, now
from models.projects.project import Project
from models.projects.provider_key import Provider, ProviderKey

EVERY_REPOSITORY: Final = "*"
_PATTERN: Final = re.compile(r"\*|[a-z0-9][a-z0-9_-]{0,38}/(\*|(?!\.{1,2}\Z)[a-z0-9._-]{1,100})")


class AllowedRepository(Table, table=True):
    """Written by operators only."""

    project_id: str = Field(primary_key=True, foreign_key="project.id", ondelete="CASCADE")
    pattern: str = Field(primary_key=True)
    """`owner/name`, `owner/*` or `*`, in lower case, as GitHub makes no difference."""
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


def repository_pattern(text: str) -> str:
    """The pattern as it is stored.  Raises ValueError for what is none."""
    pattern = text.lower()
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(f"'{text}' is none of owner/name, owner/* (all of one owner) and * (all there are)")
    return pattern


async def require_repository(session: AsyncSession, project_id: str, slug: str) -> None:
    """RepositoryNotAllowed where a request names a repository that the project's work could not open.

    It may name what is listed, and anything at all where the project has a GitHub key of its own.
    slug: `owner/name`.
    """
    has_key = exists().where(
        col(ProviderKey.project_id) == project_id, col(ProviderKey.provider) == Provider.github
    )
    await _require(session, or_(has_key, _is_listed(project_id, slug)), project_id, slug)


async def require_listed(session: AsyncSession, project_id: str, slug: str) -> None:
    """RepositoryNotAllowed unless the server's own access may open the repository for the project.

    Only the list counts: a project that sets a key while its work is about to be handed the server's token
    would else be handed it for any repository.  slug: `owner/name`.
    """
    await _require(session, _is_listed(project_id, slug), project_id, slug)


def _is_listed(project_id: str, slug: str) -> Exists:
    owner = slug.partition("/")[0]
    wanted = [pattern.lower() for pattern in (slug, f"{owner}/*", EVERY_REPOSITORY)]
    return exists().where(
        col(AllowedRepository.project_id) == project_id, col(AllowedRepository.pattern).in_(wanted)
    )


async def _require(session: AsyncSession, rule: ColumnElement[bool], project_id: str, slug: str) -> None:
    if not (await session.execute(select(rule))).scalar_one():
        raise RepositoryNotAllowed(
            f"The repository {slug} is not allowed for this project: give the project a GitHub key of its "
            "own with POST /api/v1/project/provider-keys/set, or have the server's operator allow it with "
            f"codecourier projects allow {project_id} {slug}."
        )


async def allow_repository(session: AsyncSession, project: Project, pattern: str) -> bool:
    """List a pattern for the project; False when it is listed already."""
    if await session.get(AllowedRepository, (project.id, pattern)) is not None:
        return False
    session.add(AllowedRepository(project_id=project.id, pattern=pattern))
    return True


async def disallow_repository(session: AsyncSession, project: Project, pattern: str) -> bool:
    """Take a pattern off the list, for what is at work, too; False when it is not on it."""
    listed = await session.get(AllowedRepository, (project.id, pattern))
    if listed is None:
        return False
    await session.delete(listed)
    return True


async def list_allowed_repositories(session: AsyncSession, project: Project) -> list[str]:
    """The project's list, in the order of the alphabet."""
    of_project = select(col(AllowedRepository.pattern)).where(col(AllowedRepository.project_id) == project.id)
    return list((await session.execute(of_project.order_by(col(AllowedRepository.pattern)))).scalars())
