"""Projects, first owners and keys as operators make them, who need no key for it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict, NotFound
from kit.schemas import Body, Title
from models.projects.api_key import SCOPES, ApiKey
from models.projects.member_schemas import Email
from models.projects.members import ProjectMembers
from models.projects.project import Member, Project, Role

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]


class ProjectNotFound(NotFound):
    """There is no project of this name."""


class MemberNotFound(NotFound):
    """Nobody in the project has this address."""


class NewMember(Body):
    """Somebody whom an operator adds."""

    email: Email
    """The address, unique within the project."""
    name: Title | None = None
    """How the person is called; what stands before the `@` unless given."""
    role: Role = Role.member
    """Any, an owner too."""
    external_id: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    """The person's id at the sign-in service."""


class NewProject(Body):
    """A project and its first owner."""

    name: Title
    """How people call it."""
    slug: Slug
    """How addresses and commands call it; unique in the installation."""
    github_repo_url: Annotated[str, Field(max_length=500)] | None = None
    """The repository that it works on."""
    owner: NewMember
    """Who may do everything in it."""


async def create_project(session: AsyncSession, new: NewProject) -> tuple[Project, Member]:
    """The project and its owner; Conflict when the slug is taken."""
    taken = select(Project.name).where(col(Project.slug) == new.slug)
    if (name := (await session.exec(taken)).first()) is not None:
        raise Conflict(f"The slug '{new.slug}' is taken, by the project '{name}'.")
    project = Project(name=new.name, slug=new.slug, github_repo_url=new.github_repo_url)
    session.add(project)
    await session.flush()
    return project, await add_member(session, project, new.owner.model_copy(update={"role": Role.owner}))


async def find_project(session: AsyncSession, slug_or_id: str) -> Project:
    statement = select(Project).where(
        or_(col(Project.slug) == slug_or_id, col(Project.id) == slug_or_id), col(Project.deleted_at).is_(None)
    )
    project = (await session.exec(statement)).one_or_none()
    if project is None:
        raise ProjectNotFound(f"There is no project '{slug_or_id}'.")
    return project


async def add_member(session: AsyncSession, project: Project, new: NewMember) -> Member:
    """An accepted member; Conflict for somebody who is there or invited."""
    team = await ProjectMembers.lock(session, project.id)
    return await team.add(new.email, new.name, new.role, new.external_id)


async def create_key(
    session: AsyncSession,
    project: Project,
    email: str,
    name: str,
    scopes: list[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[Member, ApiKey, str]:
    """The member, the key, and its secret; an invited member has joined with it."""
    team = await ProjectMembers.lock(session, project.id)
    if (member := team.find(email)) is None:
        raise MemberNotFound(f"Nobody in '{project.slug}' has the address {email}.")
    await team.accept(member)
    key, secret = ApiKey.generate(
        project_id=project.id, member_id=member.id, name=name, scopes=scopes or SCOPES, expires_at=expires_at
    )
    session.add(key)
    return member, key, secret
